/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_schema.c - any JSON as a schema is refused by name, or lowers to a grammar that compiles. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "text/grammar/grammar.h"
#include "text/grammar/schema.h"

static const char *const texts[] = {
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":9},\"b\":"
    "{\"type\":[\"integer\",\"null\"],\"minimum\":-3,\"exclusiveMaximum\":120}},\"required\":[\"a\"],"
    "\"additionalProperties\":{\"type\":\"boolean\"}}",
    "{\"anyOf\":[{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/x\"},\"minItems\":1,\"maxItems\":4},"
    "{\"enum\":[1,\"a\",null,[1,{\"b\":2.5}]]}],\"$defs\":{\"x\":{\"type\":\"object\",\"properties\":"
    "{\"n\":{\"$ref\":\"#/$defs/x\"},\"d\":{\"type\":\"string\",\"format\":\"date-time\"}}}}}",
    "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"}},\"required\":[\"k\"]},"
    "{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"b\"}},\"required\":[\"k\"]}]}",
    "{\"allOf\":[{\"type\":\"string\",\"pattern\":\"^(ab|c)+[^x-z]{2,5}$\"},{\"maxLength\":40}]}",
    "{\"type\":\"object\",\"patternProperties\":{\"^x-\":{\"type\":\"number\"}},\"minProperties\":1}",
    "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"number\"},{\"const\":2}],\"items\":false}",
    "{\"$ref\":\"#/definitions/a\",\"definitions\":{\"a\":{\"allOf\":[{\"$ref\":\"#/definitions/b\"}]},\"b\":"
    "{\"type\":\"string\",\"format\":\"uuid\"}},\"title\":\"t\",\"description\":\"d\",\"default\":1}",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), true };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    json_t *schema = json_loadb((const char *)bytes, n, JSON_DECODE_ANY, NULL);
    struct grammar *g = NULL;
    struct buf out = { 0 };
    struct err err = { 0 };

    if (!schema)
        return 0;
    grammar_json_rules(&out);
    if (schema_rules(schema, "root", &out, &err) != ST_OK) {
        if (!err.words[0])
            abort();
    } else if (grammar_compile(buf_text(&out), out.len, NULL, &g, &err) != ST_OK &&
               !strstr(err.words, "too large") && !strstr(err.words, "no text") &&
               !strstr(err.words, "longer than") && !strstr(err.words, "more than") &&
               !strstr(err.words, "left recursion")) {
        abort();
    }
    grammar_free(g);
    buf_release(&out);
    json_decref(schema);
    return 0;
}
