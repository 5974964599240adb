"""Lay an issued document out as a red-headed PDF (GB/T 9704-2012, normal form).

`Redhead` names the elements, `blocks` reads the body's own numbering, `typeset` prints.
Importing this package is cheap; Typst is loaded by the first call of `typeset`.
"""

from .press import TypesetError
from .redhead import Block, BlockKind, Redhead, blocks, typeset

__all__ = ["Block", "BlockKind", "Redhead", "TypesetError", "blocks", "typeset"]
