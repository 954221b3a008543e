"""Models of GCP Vertex AI by shorthand: ``gcp_vertex_gemini::projects/…/models/…``.

Source: the contract's page on models and providers, section 7.2.
"""

from __future__ import annotations


def parse_gcp_path(type_name: str, path: str) -> dict[str, str]:
    """The provider's options; raises ``ValueError`` whose text begins ``GCP shorthand url``."""
    publisher = "google" if type_name == "gcp_vertex_gemini" else "anthropic"
    parts = path.split("/")
    if len(parts) < 6:
        raise ValueError(
            "GCP shorthand url is not in the expected format (should start with "
            f"`projects/<project>/locations/<location>/`, then `publishers/{publisher}/models/"
            f"<model>` or `endpoints/<endpoint>`): `{path}`"
        )
    if parts[0] != "projects":
        raise ValueError(f"GCP shorthand url does not start with 'projects': `{path}`")
    if parts[2] != "locations":
        raise ValueError(f"GCP shorthand url does not contain 'locations': `{path}`")
    options = {"project_id": parts[1], "location": parts[3]}
    if parts[4] == "endpoints":
        return {**options, "endpoint_id": "/".join(parts[5:])}
    if parts[4] != "publishers":
        raise ValueError(f"GCP shorthand url does not contain a publisher or endpoint: `{path}`")
    if parts[5] != publisher:
        raise ValueError(
            f"GCP shorthand url has publisher `{parts[5]}`, expected `{publisher}` : `{path}`"
        )
    if len(parts) < 8 or parts[6] != "models":
        raise ValueError(f"GCP shorthand url does not contain a model: `{path}`")
    return {**options, "model_id": "/".join(parts[7:])}
