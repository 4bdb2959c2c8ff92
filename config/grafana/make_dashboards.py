#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""config/grafana/make_dashboards.py - the dashboards beside it, from tables of panels.

    .venv/bin/python config/grafana/make_dashboards.py

A panel is (kind, title, unit, [(query, legend)], what it tells).  Grafana's own library of types
(grafana-foundation-sdk) makes the JSON, so that it is what Grafana's schema says.  A test holds the
files to what this makes, and every query against a real Prometheus that scrapes a real cluster.
"""
import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, logs, loki, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import VizLegendOptions, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FOLDER = Path(__file__).parent / "dashboards"
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI = DataSourceRef(type_val="loki", uid="loki")
WIDTHS = {"stat": 6, "lines": 12, "signed": 12, "logs": 24}
HEIGHTS = {"stat": 4, "lines": 8, "signed": 8, "logs": 20}


def quantiles(name, by=""):
    return [(f"histogram_quantile({q}, sum by (le{by}) (rate({name}_bucket[$__rate_interval])))", f"p{p}")
            for q, p in (("0.5", "50"), ("0.95", "95"), ("0.99", "99"))]


def rate(name, by="node"):
    return f"sum by ({by}) (rate({name}[$__rate_interval]))"


DASHBOARDS = {
    "cluster": ("Cluster", [
        ("stat", "Nodes alive", "none", [("max(pomona_nodes_alive)", "")], "As the node sees it that sees most."),
        ("stat", "Nodes known", "none", [("max(pomona_nodes_known)", "")], "Lost ones with them."),
        ("stat", "Instances ready", "none", [("max(pomona_instances_ready)", "")], ""),
        ("stat", "Models without an instance", "none", [("max(pomona_models_unplaced)", "")],
         "They shall be placed and are not."),
        ("lines", "Nodes alive, as each sees it", "none", [("pomona_nodes_alive", "{{node}}")],
         "Lines that part are a cut network."),
        ("lines", "Who leads", "none", [("pomona_node_leads", "{{node}}")], ""),
        ("lines", "Instances ready", "none", [("pomona_instances_ready", "{{node}}")], ""),
        ("lines", "Tokens of answers", "wps", [("pomona:generation_tokens:rate1m", "all nodes")], "A second."),
        ("lines", "Peers to which there is a channel", "none", [("sum by (node) (pomona_peer_connected)", "{{node}}")],
         "As each node has them."),
        ("lines", "There and back", "s", [("pomona_peer_rtt_seconds", "{{node}} - {{peer}}")], "Of the channel's beats."),
        ("lines", "Links: latency", "s", [("pomona_link_latency_seconds", "{{node}} to {{peer}}, {{address}}")],
         "One way, as measured."),
        ("lines", "Links: bandwidth", "Bps", [("pomona_link_bytes_per_second", "{{node}} to {{peer}}, {{address}}")],
         "0: nobody answers there."),
        ("lines", "Links that are cut", "none", [("sum by (node) (pomona_link_cut)", "{{node}}")],
         "An instance broke on them a short while ago."),
        ("stat", "Versions", "none", [("count by (version) (pomona_build_info)", "{{version}}")], "Nodes of each."),
        ("stat", "Alerts", "none", [('count(ALERTS{alertstate="firing"}) or vector(0)', "")], ""),
    ]),
    "inference": ("Inference", [
        ("lines", "Time to first token", "s", quantiles("pomona_time_to_first_token_seconds"), "Waiting included."),
        ("lines", "Between two tokens", "s", quantiles("pomona_inter_token_seconds"), ""),
        ("lines", "Whole answers", "s", quantiles("pomona_request_duration_seconds"), ""),
        ("lines", "Tokens", "wps", [("pomona:prompt_tokens:rate1m", "prompts"),
                                    ("pomona:generation_tokens:rate1m", "answers")], "A second."),
        ("lines", "Sequences", "none", [("max(pomona_sequences_running)", "computed"),
                                        ("max(pomona_sequences_waiting)", "waiting")], ""),
        ("lines", "Pages for keys and values", "percentunit", [("max(pomona_kv_cache_usage_ratio)", "held")], ""),
        ("lines", "Keys and values in memory", "none", [("sum(pomona_instance_kv_tokens_held)", "held"),
                                                        ("sum(pomona_instance_kv_tokens_cached)", "found by prompts"),
                                                        ("sum(pomona_instance_kv_tokens_limit)", "room")], "Positions."),
        ("lines", "Sequences that gave up their pages", "ops",
         [(rate("pomona_instance_preemptions_total", "model"), "{{model}}")], "And wait again."),
        ("lines", "One stream: predicted and measured", "wps",
         [("pomona_instance_predicted_tokens_per_second", "{{model}} predicted"),
          ("pomona:measured_tokens_per_second:rate5m", "{{model}} measured")], "Tokens a second of one sequence alone."),
        ("signed", "Error of the plan", "percentunit", [("pomona:plan_error:ratio", "{{model}}")],
         "What is measured, more or less than predicted."),
        ("lines", "Waiting for other ranks", "percentunit",
         [("sum by (model) (rate(pomona_instance_wait_seconds_total[$__rate_interval])) / "
           "(sum by (model) (rate(pomona_instance_step_seconds_total[$__rate_interval])) > 0)", "{{model}}")],
         "Of the steps' time."),
        ("lines", "Prompts found in the cache", "percentunit", [("pomona:cache_hits:ratio_rate5m", "of their tokens")], ""),
        ("lines", "How answers end", "ops", [(rate("pomona_requests_finished_total", "finished_reason"),
                                              "{{finished_reason}}")], "A second."),
    ]),
    "node": ("Node", [
        ("stat", "Up for", "s", [('time() - process_start_time_seconds{job="pomona"}', "{{node}}")], ""),
        ("stat", "Answers", "bool_yes_no", [('up{job="pomona"}', "{{node}}")], "Prometheus reaches its metrics."),
        ("lines", "Processor, node process", "percentunit",
         [('rate(process_cpu_seconds_total{job="pomona"}[$__rate_interval])', "{{node}}")], "Of one core."),
        ("lines", "Memory, node process", "bytes", [('process_resident_memory_bytes{job="pomona"}', "{{node}}")],
         "Weights and pages are in runners, which are processes of their own."),
        ("lines", "Memory, runners", "bytes",
         [("sum by (node) (pomona_runner_resident_memory_bytes)", "{{node}}")], "Mapped weights with it."),
        ("lines", "Runners", "none", [("count by (node) (pomona_runner_state)", "{{node}}")], "Processes, ending ones with them."),
        ("lines", "Beats without an answer", "none", [("max by (node) (pomona_runner_beats_unanswered)", "{{node}}")],
         "Of the slowest runner; at 8 it is ended."),
        ("lines", "Power", "watt", [("sum by (node, zone) (rate(pomona_energy_joules_total[$__rate_interval]))",
                                     "{{node}} {{zone}}")], "Where the system tells."),
        ("lines", "Descriptors", "percentunit",
         [('process_open_fds{job="pomona"} / process_max_fds{job="pomona"}', "{{node}}")], "Of those it may have."),
        ("lines", "Requests open", "none", [("pomona_requests_open", "{{node}}")], "That came in at this node."),
    ]),
    "gateway": ("Gateway and tenants", [
        ("lines", "Answers", "reqps", [(rate("pomona_http_requests_total", "code"), "{{code}}")], "A second, by status."),
        ("lines", "Errors", "percentunit", [("pomona:http_errors:ratio_rate5m", "5xx")], "Of all answers."),
        ("lines", "Refused", "reqps", [(rate("pomona_requests_rejected_total", "reason"), "{{reason}}")],
         "By what was exceeded or missing: rates and quotas of keys and tenants, the queue, a tenant's share of it."),
        ("lines", "Failed", "reqps", [(rate("pomona_requests_failed_total", "reason"), "{{reason}}")], ""),
        ("lines", "Waiting", "none", [("sum(pomona_queue_requests)", "requests"),
                                      ("sum(pomona_queue_batch_requests)", "of those, batch"),
                                      ("sum(pomona_queue_requests_limit)", "limit")], ""),
        ("lines", "Tokens of waiting prompts", "none", [("sum(pomona_queue_prompt_tokens)", "waiting"),
                                                        ("sum(pomona_queue_tokens_per_second)", "leave a second")], ""),
        ("lines", "Clients that left early", "reqps", [(rate("pomona_client_disconnects_total"), "{{node}}")], ""),
        ("lines", "Upstreams", "none", [("pomona_upstream_up", "{{upstream}} up"),
                                        ("pomona_upstream_breaker_state", "{{upstream}} breaker"),
                                        ("pomona_upstream_ejected", "{{upstream}} left out")], ""),
        ("lines", "Requests to upstreams", "reqps", [(rate("pomona_upstream_requests_total", "upstream"), "{{upstream}}"),
                                                     (rate("pomona_upstream_failures_total", "upstream"), "{{upstream}} failed"),
                                                     (rate("pomona_upstream_retries_total", "upstream"), "{{upstream}} repeated"),
                                                     (rate("pomona_upstream_resumes_total", "upstream"), "{{upstream}} resumed")], ""),
        ("lines", "What upstreams have to do", "none", [("pomona_upstream_requests_outstanding", "{{upstream}} requests"),
                                                        ("pomona_upstream_prompt_tokens_outstanding", "{{upstream}} tokens")], ""),
    ]),
    "failover": ("Failover and health", [
        ("lines", "Instances lost", "none", [("sum by (reason) (increase(pomona_instances_lost_total[$__rate_interval]))",
                                              "{{reason}}")], "Each node counts what it saw."),
        ("lines", "How long answers stood still", "s", quantiles("pomona_stream_interruption_seconds"),
         "Those that lost their instance and went on at another."),
        ("lines", "Nodes that are not alive", "none", [("max(pomona_nodes_known) - max(pomona_nodes_alive)", "lost")], ""),
        ("lines", "Models without an instance", "none", [("max(pomona_models_unplaced)", "of those wanted"),
                                                         ("max(pomona_models_wanted)", "wanted")], ""),
        ("lines", "Failovers", "none", [("sum by (result) (increase(pomona_failovers_total[$__rate_interval]))", "{{result}}")],
         "Answers that lost their instance."),
        ("lines", "Runners lost", "none", [("sum by (node) (increase(pomona_runners_lost_total[$__rate_interval]))", "{{node}}")],
         "Failed, ended unasked, or stood still."),
        ("stat", "Found critical", "none", [("sum(max by (check, subject) (pomona_health_state) == bool 3)", "")],
         "By the health monitors: pomona health tells more."),
        ("stat", "Found a warning", "none", [("sum(max by (check, subject) (pomona_health_state) == bool 2)", "")], ""),
        ("lines", "Worst finding of each check", "none", [("max by (check) (pomona_health_state)", "{{check}}")],
         "0 unknown, 1 ok, 2 warning, 3 critical."),
        ("lines", "Canary", "s", [('max by (subject) (pomona_health_value{check="canary.seconds"})', "{{subject}}")],
         "A small request, from end to end."),
        ("lines", "Changes and notices", "ops", [(rate("pomona_health_changes_total"), "{{node}} changes"),
                                                 (rate("pomona_health_callbacks_total", "result"), "notices {{result}}")], "A second."),
        ("lines", "Restarts", "none", [('changes(process_start_time_seconds{job="pomona"}[15m])', "{{node}}")],
         "In 15 minutes."),
        ("lines", "Scrapes that fail", "none", [('1 - avg by (node) (avg_over_time(up{job="pomona"}[5m]))', "{{node}}")], ""),
    ]),
    "logs": ("Logs", [
        ("logs", "Warnings and errors", "", [('{unit=~"mlx-.+", level=~"warn|error"}', "")],
         "Of each machine that runs the log shipper. A line's fields are its details: request_id, instance, error."),
        ("logs", "All", "", [('{unit=~"mlx-.+"}', "")], 'One request: {unit=~"mlx-.+"} | request_id="...".'),
    ]),
}


def signed_panel():
    """Lines of what may be below 0."""
    legend = VizLegendOptions(display_mode=LegendDisplayMode.LIST, placement=LegendPlacement.BOTTOM,
                              show_legend=True, calcs=[])
    return timeseries.Panel().legend(_Built(legend)).fill_opacity(8)


def lines_panel():
    return signed_panel().min(0)


class _Built:
    """A value where the library wants something that builds one."""

    def __init__(self, value):
        self.value = value

    def build(self):
        return self.value


def panel(kind, title, unit, queries, about):
    made = {"stat": stat.Panel, "lines": lines_panel, "signed": signed_panel, "logs": logs.Panel}[kind]()
    made.title(title).datasource(LOKI if kind == "logs" else PROMETHEUS)
    made.span(WIDTHS[kind]).height(HEIGHTS[kind])
    if about:
        made.description(about)
    if unit:
        made.unit(unit)
    for i, (query, legend) in enumerate(queries):
        target = (loki if kind == "logs" else prometheus).Dataquery().expr(query).ref_id(chr(ord("A") + i))
        made.with_target(target.legend_format(legend) if legend else target)
    return made


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def make(name, title, panels):
    board = (dashboard.Dashboard(f"Pomona: {title}").uid(f"pomona-{name}").tags(["pomona"]).refresh("30s")
             .time("now-3h", "now").timezone("browser").readonly())
    for row in panels:
        board.with_panel(panel(*row))
    plain = json.loads(JSONEncoder().encode(board.build()))
    return json.dumps(without_nulls(plain), sort_keys=True, indent=2) + "\n"


def made():
    """{file name: text}"""
    return {f"{name}.json": make(name, title, panels) for name, (title, panels) in DASHBOARDS.items()}


if __name__ == "__main__":
    for file, text in made().items():
        (FOLDER / file).write_text(text)
        sys.stdout.write(f"{FOLDER / file}\n")
