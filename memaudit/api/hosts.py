"""Which machines may be asked for images."""

from __future__ import annotations

from collections.abc import Sequence

from memaudit.images import hosts as asked


def allow_hosts(hosts: Sequence[str]) -> None:
    """Let this process read images from hosts at addresses that are not public: loopback, private, link-local.

    Manifests and stores are data: without this, what they name there is not asked for. hosts: names or addresses as in
    URLs, or networks. The host of a source that is given by its URL is allowed by that.

    Raises UsageError for what is no host.

    >>> ma.allow_hosts(["images.internal", "10.0.0.0/8"])
    """
    asked.allow_hosts(hosts)
