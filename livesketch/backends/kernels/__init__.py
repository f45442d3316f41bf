"""The cpu backend's arithmetic, compiled by numba on first use and cached on disk; a module a cell.

Every output is one chain of fused multiply-adds over k in ascending order, starting from its bias. That fixes its
bits: neither the number of voices nor the split into panels can change them. The sums of the norms run in one fixed
order too. Weights stay int16 where the checkpoint holds int16; each input is multiplied by its row's scale first. Two
weights share a word, of which what is converted holds at most 24 bits (``tiles``): a rounding like that of a product.

What Python calls is a kernel (``common.compiled``): the model's ``update``, and ``act`` of ``sampling``. What kernels
call (``common.inner``) is compiled once more within each of them, which takes most of the first start on a machine: so
functions are few and long rather than many and short.
"""
