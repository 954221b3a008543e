"""TensorZero gateway: typed functions over language models, every inference recorded."""

from tensorzero.version import VERSION

__all__ = ["VERSION"]
__version__ = VERSION
