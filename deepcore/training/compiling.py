"""torch.compile. It runs the same network in another way and is therefore no part of a recipe."""

from __future__ import annotations

import torch

from deepcore.common.checks import UsageError, first_line
from deepcore.nets.net import Net

RECOMPILE_LIMIT = 64  # networks, batch sizes and modes of a grid; above its own 8 torch silently stops


def check_compiler(device: torch.device) -> None:
    """Compile a small function for `device` and run it forward and backward; this takes seconds once.

    Raises:
        UsageError: no working compiler; the message has torch's reason and the remedy.
    """
    torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT
    try:
        x = torch.ones(8, device=device, requires_grad=True)
        torch.compile(lambda x: (2 * x).relu().sum())(x).backward()
    except Exception as error:  # a missing compiler, headers or Triton: each backend raises its own
        reason = first_line(error).rstrip(".")
        tool = "a C++ compiler (g++)" if device.type == "cpu" else "Triton and a C compiler"
        raise UsageError(
            f"--compile does not work here ({reason}): torch.compile needs {tool} on {device.type}; install "
            "it, or leave out --compile"
        ) from None


def compile_body(net: Net) -> None:
    """Compile the body of `net` in place; its parameters and their names do not change.

    The first batch of each size and mode waits for the compiler.
    """
    net.body.compile()


def is_compiled(net: Net) -> bool:
    """Whether `compile_body` was called."""
    return getattr(net.body, "_compiled_call_impl", None) is not None
