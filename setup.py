"""Builds the compiled core: one extension module for each ``.pyx`` file of ``src/tzcore``.

``TZCORE_DEBUG=1`` builds with bounds checks and line tracing, for tests and profiles.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

debug = os.environ.get("TZCORE_DEBUG") == "1"

directives = {
    "language_level": 3,
    "embedsignature": True,
    "boundscheck": debug,
    "wraparound": debug,
    "initializedcheck": debug,
    "cdivision": not debug,
    "linetrace": debug,
}

extensions = [
    Extension(
        f"tzcore.{source.stem}",
        [source.as_posix()],
        extra_compile_args=["-O0", "-g"] if debug else ["-O3"],
        define_macros=[("CYTHON_TRACE_NOGIL", "1")] if debug else [],
    )
    for source in sorted(Path("src/tzcore").glob("*.pyx"))
]

setup(ext_modules=cythonize(extensions, compiler_directives=directives))
