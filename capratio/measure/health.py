"""Can this machine measure? One finding for each thing that makes a measurement good or bad, with what to do."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import psutil
import torch

import capratio
from capratio.cost.roofline import Ceilings
from capratio.display import table as _table  # noqa: F401
