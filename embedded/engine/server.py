"""The gRPC server of a run: the ``ResourceMonitor`` and ``Engine`` services on one Unix socket that no other user can reach."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2_grpc

from embedded.engine.deployment import Deployment
from embedded.engine.monitor import Monitor
from embedded.sockets import PrivateSocket

_THREADS = 1024  # a call waits in a thread of its own until its resource is done; threads are made as they are needed
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_SEVERITIES = ("debug", "info", "warning", "error")


class EngineService(engine_pb2_grpc.EngineServicer):
    """Messages of the program, and its root resource."""

    def __init__(self, run: Deployment) -> None:
        self._run = run
        self._root = ""
        self.muted = False

    def Log(self, request: Any, context: Any) -> Any:
        if self.muted:
            return Empty()
        severity = _SEVERITIES[request.severity] if 0 <= request.severity < len(_SEVERITIES) else "info"
        self._run.events.diagnostic(
            severity, request.message, urn=request.urn, ephemeral=request.ephemeral, stream=request.streamId
        )
        return Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: Any) -> Any:
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()


class Server:
    """Both services on one private socket."""

    def __init__(self, run: Deployment) -> None:
        self.monitor = Monitor(run)
        self._engine = EngineService(run)
        self._server = grpc.server(ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="rpc"), options=_OPTIONS)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self.monitor, self._server)
        engine_pb2_grpc.add_EngineServicer_to_server(self._engine, self._server)
        self._socket = PrivateSocket()
        self.address = self._socket.address
        self._server.add_insecure_port(self.address)
        self._server.start()

    def mute(self) -> None:
        """Passes on no more messages of the program: the run has failed and been told, and that the engine is gone is no news."""
        self._engine.muted = True

    def stop(self) -> None:
        self.monitor.close()
        with contextlib.suppress(Exception):
            self._server.stop(grace=0.2).wait(timeout=2)
        self._socket.close()
