"""What compute costs here, as the operator has it: money and energy of a job are told from it and never invented."""

from dataclasses import dataclass

from shared.settings import Settings

HOUR_S = 3600.0


@dataclass(frozen=True)
class Tariff:
    """Prices in the operator's currency, None where none is set; watts, for want of a meter."""

    cpu_hour: float | None = None
    gpu_hour: float | None = None
    kwh: float | None = None
    currency: str | None = None
    watts_cpu_core: float = 10.0
    watts_gpu: float = 300.0

    @property
    def has_prices(self) -> bool:
        return any(price is not None for price in (self.cpu_hour, self.gpu_hour, self.kwh))

    def money(self, *, cpu_s: float, gpu_s: float, energy_wh: float) -> float | None:
        """The price of so much; None without any price. What has no price of its own adds nothing."""
        if not self.has_prices:
            return None
        hours = (cpu_s * (self.cpu_hour or 0.0) + gpu_s * (self.gpu_hour or 0.0)) / HOUR_S
        return round(hours + energy_wh / 1000 * (self.kwh or 0.0), 8)

    def assumed_wh(self, cpu_s: float) -> float:
        """Watt-hours of so many seconds of a core, if each takes what the operator says."""
        return cpu_s * self.watts_cpu_core / HOUR_S

    def assumed_gpu_wh(self, gpu_s: float) -> float:
        """The same of seconds that a graphics card is held."""
        return gpu_s * self.watts_gpu / HOUR_S


def of(settings: Settings) -> Tariff:
    return Tariff(
        cpu_hour=settings.price_cpu_hour,
        gpu_hour=settings.price_gpu_hour,
        kwh=settings.price_kwh,
        currency=settings.currency or None,
        watts_cpu_core=settings.watts_cpu_core,
        watts_gpu=settings.watts_gpu,
    )
