"""A client in another language: calls what it is told to, with modules generated from the protos.

Usage: python_client.py TARGET. It reads lines of JSON from standard input:

    {"id": 1, "op": "unary" | "stream", "module": "haplane.v1.runtime", "service": "Runtime",
     "method": "GetInfo", "request": {...}, "token": "..."}
    {"id": 1, "op": "cancel"}

and prints, for each id, lines of kind "message" and one of kind "end". It ends with its input.
"""

import importlib
import json
import sys
import threading

import grpc
from google.protobuf import json_format, message_factory
from google.rpc import error_details_pb2, status_pb2

channel = grpc.insecure_channel(sys.argv[1])
calls = {}
printing = threading.Lock()


def say(call_id, kind, **facts):
    with printing:
        print(json.dumps({"id": call_id, "kind": kind, **facts}), flush=True)


def prepare(order):
    """Returns the stub's method and the request, as a program with these modules would have them."""
    messages = importlib.import_module(order["module"] + "_pb2")
    stubs = importlib.import_module(order["module"] + "_pb2_grpc")
    stub = getattr(stubs, order["service"] + "Stub")(channel)
    descriptor = messages.DESCRIPTOR.services_by_name[order["service"]].methods_by_name[order["method"]]
    request = message_factory.GetMessageClass(descriptor.input_type)()
    json_format.ParseDict(order["request"], request)
    return getattr(stub, order["method"]), request


def details_of(error):
    """Decodes the typed details, which travel as a google.rpc.Status in the trailers."""
    found = []
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            name = detail.TypeName()
            message = getattr(error_details_pb2, name.rpartition(".")[2])()
            detail.Unpack(message)
            found.append({"type": name, "value": json_format.MessageToDict(message)})
    return found


def run(order):
    call_id = order["id"]
    try:
        method, request = prepare(order)
        metadata = [("authorization", "Bearer " + order["token"])] if order["token"] else []
        if order["op"] == "unary":
            say(call_id, "message", message=json_format.MessageToDict(method(request, metadata=metadata, timeout=30)))
        else:
            calls[call_id] = method(request, metadata=metadata)
            for message in calls[call_id]:
                say(call_id, "message", message=json_format.MessageToDict(message))
        say(call_id, "end", code="OK")
    except grpc.RpcError as error:
        say(call_id, "end", code=error.code().name, reason=error.details(), details=details_of(error))
    except Exception as error:  # A defect here must not look like a stream that goes on.
        say(call_id, "end", code="CLIENT_ERROR", reason=repr(error), details=[])


for line in sys.stdin:
    order = json.loads(line)
    if order["op"] == "cancel":
        if order["id"] in calls:
            calls[order["id"]].cancel()
    else:
        threading.Thread(target=run, args=(order,), daemon=True).start()
