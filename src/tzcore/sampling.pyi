def draw(function_name: str, episode_id: bytes) -> float:
    """A number in [0, 1), the same on every gateway for a function and an episode."""

def pick_uniform(count: int, u: float) -> int:
    """Index floor(u * count)."""

def pick_weighted(weights: tuple[float, ...], u: float) -> int:
    """First index whose cumulative weight exceeds u * total; -1 when the total is not positive."""
