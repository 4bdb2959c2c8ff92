/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_traces.c - the section `traces` of api_gateway.yaml: its schema, the environment, its headers. */
#include "config/api_traces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config/api_gateway_priv.h"

const struct cyaml_schema_field api_traces_fields[] = {
    CYAML_FIELD_STRING("endpoint", CYAML_FLAG_OPTIONAL, struct api_traces, endpoint, 1),
    CYAML_FIELD_STRING("headers_file", CYAML_FLAG_OPTIONAL, struct api_traces, headers_file, 1),
    CYAML_FIELD_FLOAT("ratio", CYAML_FLAG_OPTIONAL, struct api_traces, ratio),
    CYAML_FIELD_STRING("service_name", CYAML_FLAG_OPTIONAL, struct api_traces, service_name, 1),
    CYAML_FIELD_END
};

static bool is_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

static bool is_ratio(double value)
{
    return isfinite(value) && value >= 0 && value <= 1;
}

/* A value that is too long stays out: half a URL is another. */
static void fill_from(const char *found, char *value, size_t size)
{
    if (value[0] == '\0' && found && strlen(found) < size)
        memcpy(value, found, strlen(found) + 1);
}

void api_traces_complete(struct api_traces *t)
{
    const char *ratio = getenv("OTEL_TRACES_SAMPLER_ARG");
    const char *endpoint = getenv("OTEL_EXPORTER_OTLP_ENDPOINT");

    if (endpoint && is_url(endpoint))
        fill_from(endpoint, t->endpoint, sizeof(t->endpoint));
    fill_from(getenv("OTEL_SERVICE_NAME"), t->service_name, sizeof(t->service_name));
    if (t->service_name[0] == '\0')
        memcpy(t->service_name, "pomona", sizeof("pomona"));
    if (t->ratio == 0 && ratio && is_ratio(strtod(ratio, NULL)))
        t->ratio = strtod(ratio, NULL);
}

/* A field's name and its value (RFC 9110, section 5.1 and 5.5). */
static bool is_header(const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);

    if (!colon || colon == line || n >= API_TRACES_HEADER_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7F || (line + i < colon && line[i] == ' '))
            return false;
    }
    return true;
}

/* Empty lines, and those that begin with "#", say nothing.  NULL: it is fine. */
static const char *take_headers(struct api_traces *t, const char *text)
{
    t->n_headers = 0;
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\r\n");
        const char *next = line + n + strspn(line + n, "\r\n");

        if (n > 0 && line[0] != '#') {
            if (t->n_headers == API_TRACES_HEADERS_MAX)
                return "the file there has more than 8 headers";
            if (!is_header(line, n))
                return "the file there holds lines that are not \"Name: value\"";
            memcpy(t->headers[t->n_headers], line, n);
            t->headers[t->n_headers++][n] = '\0';
        }
        line = next;
    }
    return NULL;
}

static const char *read_headers(struct api_traces *t)
{
    struct buf content = { 0 };
    const char *fault;

    if (t->headers_file[0] == '\0')
        return NULL;
    if (file_read(t->headers_file, API_TRACES_HEADERS_MAX * API_TRACES_HEADER_MAX, &content,
                  NULL) != ST_OK)
        return "the file cannot be read";
    fault = take_headers(t, buf_text(&content));
    buf_release(&content);
    return fault;
}

static const char *fault_of(struct api_traces *t, const char **ret_field)
{
    *ret_field = "endpoint";
    if (t->endpoint[0] && !is_url(t->endpoint))
        return "it begins with http:// or https://, as \"http://127.0.0.1:4318\"";
    *ret_field = "ratio";
    if (!is_ratio(t->ratio))
        return "from 0 to 1";
    *ret_field = "headers_file";
    return read_headers(t);
}

enum status api_traces_check(const struct api_gateway *c, char *ret_place, struct err *err)
{
    const char *field;
    /* What a file says is read into the settings while they are checked, as the keys of upstreams are. */
    const char *fault = fault_of((struct api_traces *)(uintptr_t)&c->traces, &field);

    if (!fault)
        return ST_OK;
    (void)snprintf(ret_place, PLACE_MAX, "traces.%s", field);
    return err_set(err, ST_RANGE, "%s: %s", ret_place, fault);
}
