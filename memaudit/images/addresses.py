"""URLs of images and manifests: what of them is a secret, and what stands beside them."""

from __future__ import annotations

import os
import re

from memaudit.images.remote import is_url, is_web

_WITH_USERS = ("http", "https", "ftp", "sftp", "ssh", "smb", "webdav", "webhdfs", "hdfs")
_WITHOUT_HOST = ("file", "local", "memory")
_OTHERWISE = (*_WITHOUT_HOST, "github", "git")  # what stands before an @ there is a repository, or part of a path
# User and password before any other host, as smart_open takes them of S3. A secret may have a slash in it; what has a
# number before the slash is a host with its port
_USER = re.compile(r"\A[^/@:]*:(?:[^/]*@|(?!\d*/)[^@]*@)")
_BUCKETS = ("s3", "s3a", "s3n", "s3u", "gs", "gcs")  # where a host would stand, which has no port
_USER_OF_A_BUCKET = re.compile(r"\A[^/@:]*:(?:[^/]*@|[^@]*@)")
# By whom a URL was signed, and until when: S3, Google, CloudFront; tokens.
_SIGNED = re.compile(
    r"(x-amz-|x-goog-).*|awsaccesskeyid|googleaccessid|signature|expires|key-pair-id|policy|(access_)?token|api_?key",
    re.IGNORECASE,
)
# Parameters too short to tell what they are, but beside the first one: Azure's and Discord's signatures
_SIGNED_BESIDE = {
    "sig": re.compile(r"sig|s[eprvst]|spr|sip|srt|sk[a-z]+", re.IGNORECASE),
    "hm": re.compile(r"hm|ex|is", re.IGNORECASE),
}


def unsigned(location: str) -> str:
    """A location without what only its owner should know: user and password, and the signature of a signed URL.

    What is left names the same image when it is signed again; reports and image_ids hold no more. Paths are returned as
    they are.
    """
    if not is_url(location):
        return location
    if "::" in location:
        return "::".join(map(unsigned, location.split("::")))
    scheme, _, rest = location.partition("://")
    if scheme.lower() not in _WITH_USERS:
        user = _USER_OF_A_BUCKET if scheme.lower() in _BUCKETS else _USER
        return location if scheme.lower() in _OTHERWISE else f"{scheme}://{user.sub('', rest)}"
    host, slash, path = rest.partition("/")
    base, query, fragment = _split(f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")
    kept = _without_signature(query)
    return f"{base}{'?' if kept else ''}{kept}{fragment}" if query else f"{base}{fragment}"


def unsigned_word(word: str) -> str:
    """A word of a command line, in which a location may stand after a name, as in --control=LOCATION."""
    name, equals, value = word.partition("=")
    return f"{name}={unsigned_word(value)}" if equals and not is_url(word) else unsigned(word)


def _split(url: str) -> tuple[str, str, str]:
    """A URL up to its query, the query, and the fragment with its #."""
    before, mark, fragment = url.partition("#")
    base, _, query = before.partition("?")
    return base, query, mark + fragment


def _without_signature(query: str) -> str:
    names = [parameter.partition("=")[0] for parameter in query.split("&")]
    short = [pattern for name, pattern in _SIGNED_BESIDE.items() if name in map(str.lower, names)]
    signed = [any(pattern.fullmatch(name) for pattern in (_SIGNED, *short)) for name in names]
    return "&".join(part for part, secret in zip(query.split("&"), signed, strict=True) if not secret)


def place_of(path: str) -> str:
    """Where a local file is, by the name that it was given: that of what a link leads to, as in caches of downloads,
    may not say what it is, and nothing stands beside it."""
    folder, name = os.path.split(path)
    named = name not in ("", os.curdir, os.pardir)
    return os.path.join(os.path.realpath(folder), name) if named else os.path.realpath(path)


def beside(table: str, place: str) -> str:
    """Where a place named in a table leads: a URL as it is; a path relative to the table. At a URL an absolute path
    begins at the root of its host or file system. Raises ValueError for what cannot be a path."""
    if "\0" in place.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"):
        raise ValueError("NUL")
    if is_url(place):
        return place
    if not is_url(table):
        return place_of(os.path.join(os.path.dirname(table), place))
    base = _split(table)[0] if is_web(table) else table
    if not place.startswith("/"):
        return f"{base.rpartition('/')[0]}/{place}"
    scheme, _, rest = base.partition("://")
    return f"{scheme}://{'' if scheme in _WITHOUT_HOST else rest.partition('/')[0]}{place}"
