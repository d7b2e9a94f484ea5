"""A gRPC server and client on grpcio, without generated code: messages are bytes.

    grpc_peer.py server            prints its port and serves until it is killed
    grpc_peer.py client TARGET [CA.pem AUTHORITY]
                                   makes every kind of call, prints what came of them as one JSON object
"""

import json
import sys
import threading
from concurrent import futures

import grpc

SERVICE = "weir.test.Echo"


def unary(request, context):
    context.send_initial_metadata((("x-initial", "first"),))
    context.set_trailing_metadata((("x-trailing", "last"), ("x-bytes-bin", b"\x00\xff")))
    return b"echo:" + request


def count(request, context):
    for n in range(int(request)):
        yield str(n).encode()


def gather(requests, context):
    return b",".join(requests)


def talk(requests, context):
    for request in requests:
        yield b"re:" + request


def fail(request, context):
    context.set_trailing_metadata((("x-why", "on purpose"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not like this: \u00fc 100%")


def fail_late(request, context):
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.DATA_LOSS, "after two")


def forever(request, context):
    gone = threading.Event()
    context.add_callback(gone.set)
    yield b"open"
    gone.wait()


def metadata(request, context):
    return json.dumps({key: str(value) for key, value in context.invocation_metadata()}).encode()


def serve():
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Gather": grpc.stream_unary_rpc_method_handler(gather),
        "Talk": grpc.stream_stream_rpc_method_handler(talk),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
        "Forever": grpc.unary_stream_rpc_method_handler(forever),
        "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
    }
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def status(error):
    trailing = {key: str(value) for key, value in error.trailing_metadata() or ()}
    return {"code": error.code().name, "details": error.details(), "trailing": trailing}


def call(target, ca=None, authority=None):
    # Without this, grpcio would ask a proxy of the environment for the way to the loopback.
    options = [("grpc.enable_http_proxy", 0)]
    if ca:
        options.append(("grpc.ssl_target_name_override", authority))
        with open(ca, "rb") as file:
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(file.read()), options)
    else:
        channel = grpc.insecure_channel(target, options)
    path = f"/{SERVICE}/"
    seen = {}

    reply, done = channel.unary_unary(path + "Unary").with_call(b"hello", timeout=30)
    seen["unary"] = reply.decode()
    seen["initial"] = {key: str(value) for key, value in done.initial_metadata()}
    seen["trailing"] = {key: repr(value) for key, value in done.trailing_metadata()}
    seen["large"] = len(channel.unary_unary(path + "Unary")(b"x" * 3_000_000, timeout=30))
    seen["stream"] = [message.decode() for message in channel.unary_stream(path + "Count")(b"500", timeout=30)]
    seen["gather"] = channel.stream_unary(path + "Gather")(iter([b"a", b"b", b"c"]), timeout=30).decode()

    # Each message is sent only after the answer to the one before it: nothing on the way may hold a message back.
    answers = threading.Semaphore(1)

    def questions():
        for n in range(20):
            assert answers.acquire(timeout=30)
            yield str(n).encode()

    seen["talk"] = []
    for message in channel.stream_stream(path + "Talk")(questions(), timeout=60):
        seen["talk"].append(message.decode())
        answers.release()

    try:
        channel.unary_unary(path + "Fail")(b"", timeout=30)
    except grpc.RpcError as error:
        seen["fail"] = status(error)
    got = []
    try:
        for message in channel.unary_stream(path + "FailLate")(b"", timeout=30):
            got.append(message.decode())
    except grpc.RpcError as error:
        seen["fail_late"] = {"got": got, **status(error)}
    try:
        channel.unary_unary("/no.such.Service/Call")(b"", timeout=30)
    except grpc.RpcError as error:
        seen["no_route"] = status(error)
    stream = channel.unary_stream(path + "Forever")(b"")
    seen["open"] = next(stream).decode()
    stream.cancel()
    seen["cancelled"] = stream.code().name
    seen["metadata"] = json.loads(channel.unary_unary(path + "Metadata")(b"", timeout=30, metadata=(("x-mine", "1"),)))
    print(json.dumps(seen))


if __name__ == "__main__":
    serve() if sys.argv[1] == "server" else call(*sys.argv[2:])
