"""From settings to a run: data, network, choices, folder; and the same for one that goes on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch

from gelan.config import from_mapping, to_mapping
from gelan.data.cache import Cache, DiskCache, MemoryCache
from gelan.data.dataset import Dataset
from gelan.data.description import DatasetDescription, ImageRecord, open_dataset
from gelan.data.health.pictures import unreadable
from gelan.data.health.quick import quick_check, require_usable
from gelan.data.health.scan import Unreadable, scan
from gelan.errors import ConfigError, SourceError
from gelan.geometry.letterbox import Preprocessing
from gelan.model.detector import build_detector
from gelan.model.specs import DetectorSpec
from gelan.structures.classes import ClassTable
from gelan.structures.findings import Finding
from gelan.structures.history import Choice, PgiCost
from gelan.train.choices import Facts, asked_for, only_set, settle
from gelan.train.config import TrainConfig
from gelan.train.cost import batch_that_fits
from gelan.train.engine import require_precision
from gelan.train.network import arrange_auxiliary, network_name, starting_weights
from gelan.train.run_folder import RunFolder
from gelan.weights.checkpoint import Metadata
from gelan.weights.loading import LoadedWeights

logger = logging.getLogger(__name__)

ChooseDevice = Callable[[str], torch.device]

_MOST_DECODED = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """The images of a run and what was noticed about them."""

    description: DatasetDescription
    train: tuple[ImageRecord, ...]
    validation: tuple[ImageRecord, ...]
    """Empty where there is no such split."""
    findings: tuple[Finding, ...]

    @property
    def fingerprint(self) -> str:
        """Which images with which labels of which classes these are; another if any changes."""
        digest = hashlib.sha256(repr(self.description.classes).encode())
        for records in (self.train, self.validation):
            digest.update(b"%d images" % len(records))
            for record in records:
                digest.update(str(record.path).encode("utf-8", "surrogateescape"))
                for column in (record.labels.values, record.labels.classes, record.labels.crowd):
                    digest.update(column.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """All that a run begins with."""

    config: TrainConfig
    choices: tuple[Choice, ...]
    data: Labelled
    weights: LoadedWeights
    """The network with what its file will say."""
    notes: tuple[str, ...]
    device: torch.device
    settings: Mapping[str, object]
    """What the user has set, by dotted names."""
    pgi_cost: PgiCost | None = None


def open_labelled(place: str, *, train: str, validation: str) -> Labelled:
    """A data set for training; the quick check is done, and what it leaves out is in the log.

    Raises:
        SourceError: there is no such data set, or nothing in it can be trained on.
    """
    description = open_dataset(place)
    findings = quick_check(description)
    if train not in description.splits and list(description.splits) == ["all"]:
        raise ConfigError(
            f"{place}: nothing says which images are for training; name the splits "
            "(data.yaml with train and val, or folders train/ and val/), or train on all of them "
            "with --set train_split=all val_split=all, where AP says nothing about new images"
        )
    used = require_usable(description, train)
    held_out: tuple[ImageRecord, ...] = ()
    if validation in description.splits:
        held_out = require_usable(description, validation)
    elif validation != "val":
        description.split(validation)  # says what there is
    broken = unreadable_images((*used, *held_out))
    for finding in broken:
        logger.warning("left out: %s", finding)
    gone = {finding.file for finding in broken}
    readable = {}
    for split, records in ((train, used), (validation, held_out)):
        readable[split] = tuple(record for record in records if str(record.path) not in gone)
        if records and not readable[split]:
            raise SourceError(f"{place}: not one image of split {split!r} can be read: {broken[0]}")
    return Labelled(
        description=description,
        train=readable[train],
        validation=readable[validation],
        findings=(*broken, *findings),
    )


def unreadable_images(records: Sequence[ImageRecord]) -> tuple[Finding, ...]:
    """What is wrong with each image that cannot be read in full.

    All are decoded once, on all cores. Of more than 20,000 none is: that would take minutes, and
    training stops at such an image and can go on when it is mended.
    """
    if len(records) > _MOST_DECODED:
        return ()
    seen = scan(record.path for record in records)
    return tuple(unreadable(found) for found in seen.values() if isinstance(found, Unreadable))


def prepare(settings: Mapping[str, object], *, choose: ChooseDevice) -> Prepared:
    """Data, network and configuration of a new run; nothing is written.

    `settings` have dotted keys, as `--set` has them; "auto" is as good as none. `choose` makes a
    device of its name.

    Raises:
        GelanError: whatever is wrong with the settings, the data or the weights.
    """
    asked = asked_for(settings)
    given = only_set(settings)
    if not asked.data:
        raise ConfigError("name the labelled images: --data data.yaml, or a folder")
    device = choose(asked.device)
    data = open_labelled(asked.data, train=asked.train_split, validation=asked.val_split)
    weights, notes = starting_weights(asked, data.description.classes)
    facts = Facts(
        images=len(data.train),
        network=network_name(weights.detector),
        has_auxiliary=weights.detector.auxiliary is not None,
        is_fine_tuning=asked.weights is not None,
        device=device.type,
        cores=os.cpu_count() or 1,
        has_bf16=has_fast_bf16(device),
        has_validation=bool(data.validation),
    )
    config = settle(given, facts).config
    require_precision(config, device)
    notes = (*notes, *arrange_auxiliary(weights.detector, config))
    if device.type == "cuda" and "batch" not in given:
        fits = batch_that_fits(weights.detector, config, device)
        facts = replace(facts, batch_that_fits=fits)
    settled = settle(given, facts)
    return Prepared(
        config=settled.config,
        choices=settled.choices,
        data=data,
        weights=weights,
        notes=notes,
        device=device,
        settings=given,
    )


def prepare_again(folder: RunFolder, *, choose: ChooseDevice) -> Prepared:
    """The same for a run that goes on: everything is as it was.

    Raises:
        GelanError: the folder holds no run that can go on, or its images or labels have changed.
    """
    config = folder.read_config()
    identity = folder.read_state()["identity"]
    data = open_labelled(config.data, train=config.train_split, validation=config.val_split)
    if data.fingerprint != identity["fingerprint"]:
        raise ConfigError(
            f"{folder.path}: the images or labels in {config.data} are not those that the run "
            "began with, so it cannot go on as it would have; start a new one "
            f"with --weights {folder.last}"
        )
    metadata = Metadata(**_tuples(identity["metadata"]))
    spec = from_mapping(DetectorSpec, metadata.architecture, where=f"{folder.state}: architecture")
    weights = LoadedWeights(
        detector=build_detector(spec),
        classes=ClassTable(metadata.names, metadata.category_ids),
        preprocessing=Preprocessing(size=config.size),
        metadata=metadata,
        notes=(),
    )
    return Prepared(
        config=config,
        choices=tuple(Choice(**choice) for choice in identity["choices"]),
        data=data,
        weights=weights,
        notes=(),
        device=choose(config.device),
        settings=identity["settings"],
        pgi_cost=None if identity["pgi_cost"] is None else PgiCost(**identity["pgi_cost"]),
    )


def identity_of(prepared: Prepared) -> dict[str, Any]:
    """What a run's state says of it, besides how far it is."""
    spec = prepared.weights.detector.spec
    assert spec is not None  # a foreign backbone cannot come from a file or a name
    metadata = replace(prepared.weights.metadata, architecture=to_mapping(spec))
    return {
        "fingerprint": prepared.data.fingerprint,
        "metadata": asdict(metadata),
        "choices": [asdict(choice) for choice in prepared.choices],
        "settings": dict(prepared.settings),
        "pgi_cost": None if prepared.pgi_cost is None else asdict(prepared.pgi_cost),
    }


def has_fast_bf16(device: torch.device) -> bool:
    """Whether a device computes faster in bfloat16 than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    return any(bool(getattr(torch.cpu, name, bool)()) for name in _BF16_UNITS)


_BF16_UNITS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def image_source(records: Sequence[ImageRecord], config: TrainConfig, *, folder: Path) -> Dataset:
    """The images of a split, with the cache that the settings ask for."""
    limit = int(config.cache_gb * 1e9)
    cache: Cache | None = None
    if config.cache == "ram":
        cache = MemoryCache(max_bytes=limit // max(1, config.workers))
    elif config.cache == "disk":
        cache = DiskCache(folder / "cache", max_bytes=limit)
    return Dataset(records, cache=cache)


def environment() -> dict[str, str]:
    """Versions and machine."""
    facts = {
        "gelan": importlib.metadata.version("gelan"),
        "torch": torch.__version__,
        "numpy": importlib.metadata.version("numpy"),
        "opencv": cv2.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
    }
    for number in range(torch.cuda.device_count()):
        facts[f"gpu {number}"] = torch.cuda.get_device_name(number)
    return facts


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """The names and ids of classes as tuples again."""
    ids = values["category_ids"]
    return {
        **values,
        "names": tuple(values["names"]),
        "category_ids": None if ids is None else tuple(ids),
    }
