"""Stands in for the module that kafka-python's source package leaves out of its tests: a broker that somebody else started."""


class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass

    def stop(self):
        pass

    def close(self):
        pass

    def dump_logs(self):
        pass


SpawnedService = None
