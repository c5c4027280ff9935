"""Every bound of the gateway, with its default."""

from __future__ import annotations

from typing import Final, NamedTuple

from fogbank.gateway.head import HeadLimits

ANY_ORIGIN: Final = "*"
"""In ``allowed_origins``: pages of every origin."""


class ListenerSettings(NamedTuple):
    """What bounds the memory and the time that clients can take."""

    head: HeadLimits = HeadLimits(
        target_bytes_max=16 << 10,
        head_bytes_max=64 << 10,
        header_count_max=200,
        body_bytes_max=(5 << 30) + (64 << 20),  # AWS: one PutObject takes 5 GB; and its framing.
    )
    connections_max: int = 4_096
    refusals_max: int = 256
    """Connections beyond those that are read as far as their first head, to be refused in the
    protocol of their client; others are refused unread."""
    requests_max: int = 1_024
    """Requests in work at once, over all connections."""
    connections_per_address_max: int = 2_048
    """Connections of one address, one IPv6 network of 64 bits, or one sandbox."""
    requests_per_address_max: int = 768
    """Requests in work at once of one such origin."""
    whole_bodies_bytes_max: int = 256 << 20
    """Memory of all bodies that are read whole."""
    whole_replies_bytes_max: int = 256 << 20
    """Memory of all replies that are held whole until their clients take them."""
    stream_buffer_bytes_max: int = 256 << 10
    """What a streamed body holds before its socket is left alone."""
    pipelined_bytes_max: int = 64 << 10
    """What may wait behind a running request before its socket is left alone."""
    write_buffer_bytes_max: int = 256 << 10
    """What a reply may have unsent before its writer waits."""
    streams_max: int = 100
    """Requests of one HTTP/2 connection in work at once."""
    connection_window_bytes: int = 1 << 20
    """What the bodies of one HTTP/2 connection may have unread together."""
    control_frames_max: int = 1_000
    """Frames of HTTP/2 that move nothing on (resets, pings, settings) that may come at once."""
    control_frames_per_second: int = 100
    """How fast that allowance refills."""
    discard_bytes_max: int = 8 << 20
    """How much of a body that nobody reads is thrown away to keep or to end a connection well."""
    head_timeout_ms: int = 20_000
    whole_body_timeout_ms: int = 60_000
    """How long a body that is read whole may take in all."""
    body_timeout_ms: int = 60_000
    """How long a client may send nothing in the middle of a streamed body, or take nothing of a
    reply."""
    body_rate_bytes_min: int = 240
    """Bytes per second that a client must send of a streamed body, or take of a reply."""
    body_rate_grace_ms: int = 30_000
    """How far it may fall behind that."""
    idle_timeout_ms: int = 75_000
    linger_timeout_ms: int = 5_000
    sweep_ms: int = 1_000
    """How often time-outs are looked for; they are exact to this."""
    backlog: int = 1_024


class GatewaySettings(NamedTuple):
    """What the dispatcher is told."""

    public_hosts: tuple[str, ...] = ()
    """Further host names under which clients reach the server: for virtual-hosted buckets."""
    public_url: str = ""
    """What URLs that we return begin with; empty: the host that the client asked."""
    allowed_origins: tuple[str, ...] = (ANY_ORIGIN,)
    """The origins of web pages that may call the services which pages may call on AWS."""
    region: str = "us-east-1"
    """The region of a request that names none."""
    requests_per_account_max: int = 512
    """Requests of one account in work at once."""
    requests_per_second: int = 0
    """The rate of one account over all services; 0: only what is in work is bounded."""
    burst_requests: int = 0
    """How far above the rate an account may go; 0: one second's worth."""
    body_bytes_max: int = 70_167_211
    """The longest body of an operation that takes it as one value, where its service declares no
    limit."""
    whole_bodies_bytes_max: int = 256 << 20
    """Memory of all bodies that such operations read from streams."""
    work_bytes_max: int = 512 << 20
    """Memory of all requests in work that become many times their bytes, or have long replies."""
    packed_reply_bytes_min: int = 4 << 10
    """The shortest reply that is compressed for a client that takes it so, by services which do."""
    signature_v2: bool = False
    """Whether S3 takes signatures of version 2."""
    skew_ms: int = 15 * 60 * 1000
    """How far a signature's time may lie from ours."""
    failed_proofs_burst: int = 100
    """How often one address may fail to prove one access key before it must slow down."""
    failed_proofs_per_second: int = 1
    """How fast that is forgiven."""
    address_failed_proofs_burst: int = 1_000
    """How often one address may fail with whatever keys before it hears no more why."""
    address_failed_proofs_per_second: int = 10
    """How fast that is forgiven."""
    listening: int = 1
    """Processes that listen side by side: each has its equal share of the four bounds above, so
    that together they let through what the bounds say, wherever a client's connections land."""
