# SPDX-License-Identifier: Apache-2.0
"""tests/support/collector.py - a collector of traces: takes OTLP over HTTP, and reads it by the protocol's own package.

    with Collector() as collector:
        node: traces: { endpoint: collector.url }
        collector.wait_for(lambda spans: ..., "what they show")

What the package does not know, a field of another name say, is an error here.
"""
import base64
import collections
import json

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from support.cluster import wait_until
from support.http_double import HttpDouble, Quiet

Span = collections.namedtuple(
    "Span", "service node name kind trace_id span_id parent_id begin end attributes events failed")


def value_of(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


def attributes_of(holder):
    return {a.key: value_of(a.value) for a in holder.attributes}


def as_ids(message):
    """OTLP's JSON has ids in hexadecimal digits, protobuf's own in base64: those of the parsed message, undone."""
    for resource in message["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name, n in (("traceId", 32), ("spanId", 16), ("parentSpanId", 16)):
                    if name in span:
                        assert len(span[name]) == n and set(span[name]) <= set("0123456789abcdef"), span
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return message


def read(body):
    """The spans of a request's body."""
    request = json_format.ParseDict(as_ids(json.loads(body)), trace_service_pb2.ExportTraceServiceRequest())
    return [Span(attributes_of(r.resource)["service.name"], attributes_of(r.resource).get("service.instance.id"),
                 s.name, s.kind, s.trace_id.hex(), s.span_id.hex(), s.parent_span_id.hex(), s.start_time_unix_nano,
                 s.end_time_unix_nano, attributes_of(s), [e.name for e in s.events], s.status.code == 2)
            for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]


class Collector(HttpDouble):
    """`answers`: (status, headers, body) of the first requests; afterwards 200."""

    def __init__(self, answers=()):
        self.bodies, self.headers, self.refused, answers = [], [], [], list(answers)

        class Handler(Quiet):
            protocol_version = "HTTP/1.1"

            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                status, headers, answer = answers.pop(0) if answers else (200, {}, b"{}")
                if handler.path != "/v1/traces" or handler.headers["Content-Type"] != "application/json":
                    status = 400
                (self.bodies if status == 200 else self.refused).append(body)
                self.headers.append(dict(handler.headers))
                handler.send_response(status)
                for name, value in headers.items():
                    handler.send_header(name, value)
                handler.send_header("Content-Length", str(len(answer)))
                handler.end_headers()
                handler.wfile.write(answer)

        super().__init__(Handler)

    def spans(self, trace_id=None):
        return [s for body in list(self.bodies) for s in read(body) if trace_id in (None, s.trace_id)]

    def wait_for(self, is_enough, what, trace_id=None):
        """The spans, of that trace, once there are enough."""
        def found():
            spans = self.spans(trace_id)
            return spans if is_enough(spans) else None
        return wait_until(found, 60, what)
