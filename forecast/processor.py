"""What the processor can do."""

from __future__ import annotations


def native_bf16() -> bool:
    """Whether it computes in bfloat16 itself (avx512_bf16, amx_bf16); emulated, bfloat16 is slower than float32."""
    import torch

    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.12 and later tell
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
