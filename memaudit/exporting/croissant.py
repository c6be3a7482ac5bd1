"""What describes an export to others: a Croissant file, and a data set card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from memaudit.exporting.options import FOLDER, MANIFEST, WEBDATASET
from memaudit.exporting.plan import Lineage

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_FORMATS = {".tar": "application/x-tar", ".parquet": "application/x-parquet"}
_KINDS = {
    **dict.fromkeys(("image_id", "caption", "metadata", "sha256", "path", "sample", "file", "decision"), "sc:Text"),
    **dict.fromkeys(("width", "height", "bytes"), "sc:Integer"),
    "image": "sc:ImageObject",
    "weight": "sc:Float",
}
_ANY = "application/octet-stream"
_LISTED = ("sample", "image_id", "file", "bytes", "sha256")  # columns of the lists of files


class Described(NamedTuple):
    """A file of an export, by its path from there."""

    file: str
    bytes: int
    sha256: str


def croissant(
    plan: dict[str, Any],
    lineage: Lineage,
    shards: Sequence[Described],
    lists: Sequence[Described],
    columns: Mapping[str, bool],
) -> dict[str, Any]:
    """A data set as Croissant 1.0 describes one, with what it was made from. lists: of the files of each shard;
    columns: of the shards, where they are tables, and whether each holds files with their paths.

    It holds no time of its own: the same export has the same description.
    """
    described, record_sets = [*map(_file_object, (*shards, *lists))], []
    if plan["to"] != MANIFEST:
        described.append(_file_set("lists", "files/*.parquet"))
        record_sets.append(_record_set("files", "lists", dict.fromkeys(_LISTED, False)))
    if plan["to"] == FOLDER:
        described.append(_file_set("samples", "images/**", _ANY))
    elif plan["to"] == WEBDATASET:
        described.append(_file_set("samples", "*", _ANY) | {"containedIn": [{"@id": each.file} for each in shards]})
    else:
        described.append(_file_set("shards", _pattern(shards[0].file)))
        known = {name: nested for name, nested in columns.items() if name in _KINDS}
        record_sets += [_record_set("samples", "shards", known)] if known else []
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"memaudit-{plan['which']}-{(lineage.dedup or lineage.store)[:12]}",
        "description": summary(plan),
        "version": "1.0.0",
        **({"datePublished": lineage.created} if lineage.created else {}),
        "isBasedOn": [
            {"@type": "sc:CreativeWork", "name": name, "identifier": f"sha256:{digest}"}
            for name, digest in _made_from(lineage)
        ],
        "rai:dataPreprocessingProtocol": f"{summary(plan)} By memaudit {lineage.memaudit}.",
        "distribution": described,
        "recordSet": record_sets,
    }


def summary(plan: dict[str, Any]) -> str:
    """What is in it and what is not, in a sentence or two."""
    samples, fold = plan["samples"], f" of fold {plan['fold']}" if plan["fold"] else ""
    return (
        f"{samples['exported']:,} {plan['which']} samples{fold} of {samples['in']:,}: {samples['kept']:,} kept, "
        f"{samples['dropped']:,} dropped, {samples['unreadable']:,} unreadable."
    )


def _made_from(lineage: Lineage) -> list[tuple[str, str]]:
    given = (
        ("images: their names and the sha256 of their files", lineage.images),
        ("memaudit store", lineage.store),
        ("memaudit dedup report", lineage.dedup),
        ("list of images to keep", lineage.keep),
        ("memaudit weights of the images", lineage.weights),
    )
    return [(name, digest) for name, digest in given if digest]


def _file_object(each: Described) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": each.file,
        "name": each.file,
        "contentUrl": each.file,
        "contentSize": f"{each.bytes} B",
        "encodingFormat": _FORMATS[PurePosixPath(each.file).suffix],
        "sha256": each.sha256,
    }


def _pattern(file: str) -> str:
    """What matches a shard and its like."""
    return str(PurePosixPath(file).with_name("*.parquet")) if "/" in file else file


def _file_set(name: str, includes: str, encoding: str = _FORMATS[".parquet"]) -> dict[str, Any]:
    return {"@type": "cr:FileSet", "@id": name, "name": name, "encodingFormat": encoding, "includes": includes}


def _record_set(name: str, source: str, columns: Mapping[str, bool]) -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{column}",
            "name": f"{name}/{column}",
            "dataType": _KINDS[column],
            "source": {
                "fileSet": {"@id": source},
                "extract": {"column": column},
                **({"transform": {"jsonPath": "bytes"}} if nested else {}),
            },
        }
        for column, nested in columns.items()
    ]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def card(plan: dict[str, Any]) -> str:
    """README.md of a data set on a hub: its files, and what it is."""
    return (
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*.parquet\n"
        f"---\n\n# Images\n\n{summary(plan)}\n\nMade by memaudit {plan['memaudit']}; what it was made from stands in "
        "export.json and croissant.json.\n"
    )
