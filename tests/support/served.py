"""A driver with an HTTP endpoint and a JSON log."""
import socket
import urllib.request

from driver import Driver
from prometheus_client.parser import text_string_to_metric_families


class ServedDriver(Driver):
    def __init__(self, base, binary, **options):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options["options"] = [*options.get("options", ()), "--log-format=json",
                              f"--http-endpoint=127.0.0.1:{self.port}"]
        super().__init__(base, binary, **options)

    def read_log(self, *positions):
        return super().read_log(*positions).replace('"listening"', " listening ")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as page:
            return page.read().decode()

    def metric(self, name, **labels):
        """The value, or None."""
        for family in text_string_to_metric_families(self.get("/metrics")):
            for sample in family.samples:
                if (sample.name, sample.labels) == (f"lukscryptwalker_{name}", labels):
                    return sample.value
        return None
