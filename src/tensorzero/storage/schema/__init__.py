"""The schema of the analytics database: tables, views, migrations, replication."""
