"""A connector of flytekit that keeps a pickle of its job, as that for Airflow does."""

from dataclasses import dataclass

import cloudpickle
from flytekit.extend.backend.base_connector import ConnectorRegistry
from sleeping import Sleep, SleepingConnector


@dataclass
class PickledSleep(Sleep):
    def encode(self):
        return cloudpickle.dumps(self)

    @classmethod
    def decode(cls, data):
        return cloudpickle.loads(data)


class PickledConnector(SleepingConnector):
    name = "Pickled Connector"


ConnectorRegistry.register(PickledConnector("pickled", PickledSleep))
