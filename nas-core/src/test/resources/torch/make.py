"""Makes the files here; those in use were made with PyTorch 1.13."""
import argparse
import collections
import os

import torch
from torch import nn


def ramp(*shape):
    count = 1
    for size in shape:
        count *= size
    return (torch.arange(count, dtype=torch.float32) * 0.25 - 1).reshape(*shape)


def start(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(ramp(*parameter.shape))


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/executed",)


base = ramp(4, 6)
module = nn.Sequential(collections.OrderedDict(a=nn.Linear(3, 2), n=nn.LayerNorm(2)))
start(module)
state = module.state_dict()
state["transposed"] = base.t()
state["part"] = ramp(20)[3:17:2]
state["same"] = base
state["column"] = base[:, 2]
state["permuted"] = ramp(2, 3, 4).permute(2, 0, 1)
state["half"] = ramp(5).half()
state["bfloat"] = ramp(5).bfloat16()
state["double"] = ramp(5).double()
state["ids"] = torch.arange(5) - 2
state["flags"] = torch.tensor([True, False, True])
state["bytes"] = torch.tensor([1, 255], dtype=torch.uint8)
state["scalar"] = torch.tensor(0.07)
state["none"] = torch.zeros(0, 3)
state["parameter"] = nn.Parameter(ramp(2, 2))
optimizer = torch.optim.AdamW(module.parameters())
sum(parameter.sum() for parameter in module.parameters()).backward()
optimizer.step()
start(module)
whole = {
    "epoch": 3,
    "best": 0.5,
    "big": 1 << 80,
    "name": "é",
    "negative": -70000,
    "size": torch.Size([2, 3]),
    "tuple": (1, 2, 3, 4),
    "none": None,
    "yes": True,
    "config": {"lr": [1e-4, {"x": 1}], "path": "a/b"},
    "args": argparse.Namespace(lr=1, list=[1, 2]),
    "optimizer": optimizer.state_dict(),
    "model": {"module." + name: value for name, value in state.items()},
}
torch.save(state, "state.pt")
torch.save(whole, "checkpoint-2.pth", pickle_protocol=2)
torch.save(whole, "checkpoint-4.pth", pickle_protocol=4)
torch.save(state, "legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"model": {"w": ramp(2)}, "x": Evil()}, "evil.pt")
torch.jit.save(torch.jit.script(module), "script.pt")
