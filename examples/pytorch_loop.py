"""A plain PyTorch loop on digits: log a loss per sample and epoch, select, and look for wrong labels."""

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

import deepcore  # log
from deepcore.logs import LossRecorder, WithIds  # log
from methods.cld import CLD  # log

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
train = TensorDataset(torch.tensor(x_train).float(), torch.tensor(y_train))
x_val, y_val = torch.tensor(x_val).float(), torch.tensor(y_val)

net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
recorder = LossRecorder(y_train, y_val)  # log

for _ in range(12):
    for inputs, labels, ids in DataLoader(WithIds(train), batch_size=64, shuffle=True):
        logits = net(inputs)
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.log(ids, logits=logits, labels=labels)  # log
    with torch.no_grad():
        recorder.log_val(logits=net(x_val), labels=y_val)  # log
    recorder.end_epoch()  # log

selection = deepcore.select(recorder.run(), CLD(), fraction=0.1)
subset = selection.apply(train)
print(f"{len(subset)} of {len(train)} samples kept, the first with ids {selection.ids[:5].tolist()}")
