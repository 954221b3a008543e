"""Models: routing over providers, deadlines, cost. One call in, one ``ModelResult`` out."""
