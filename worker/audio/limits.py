"""What a recording may be, and what a child may use to hear it. Needs no NumPy: the process that asks has none."""

from dataclasses import dataclass

from shared.confinement import Bounds

MiB = 1024 * 1024
# The longest piece of a recording that is kept to be played.
CLIP_S = 3.0

# Why there is no answer of a child's own.
SAID = {
    "decoder_memory": "The recording needs more memory than a decoder may use: cut it, or convert it to FLAC.",
    "decoder_timeout": "The recording took longer to hear than a decoder may take: cut it, or convert it to FLAC.",
    "decoder_crashed": "The recording made the decoder end: it is damaged, or made to do this.",
    "disk_full": "The worker's disk is full.",
    "decoder_unavailable": "This machine no longer confines a decoder as it did.",
}


@dataclass(frozen=True)
class AudioLimits:
    """Bounds on what is produced, whatever a header declares (rule R15 of the security notes)."""

    channels: int = 8
    rate_low_hz: int = 8_000
    rate_high_hz: int = 192_000
    # Nothing beyond this moment of a file is heard.
    seconds: float = 1800.0
    # Less than this of a damaged file says nothing about the rest of it.
    shortest_s: float = 0.5


@dataclass(frozen=True)
class TrackBounds(Bounds):
    """What the child of one track may use; address space counts from what the process that forks it maps already."""

    address_bytes: int = 1024 * MiB
    cpu_s: int = 420
    file_bytes: int = 1024 * MiB
    open_files: int = 32
    wall_s: float = 600.0
    # The beats and chords of half an hour are 200 kB; whoever says more is not our decoder any longer.
    answer_bytes: int = MiB

    @classmethod
    def of(cls, limits: AudioLimits) -> "TrackBounds":
        # Opus in eight channels takes 0.02 s a second, and all who listen less than as much again.
        return cls(cpu_s=round(60 + 0.2 * limits.seconds))
