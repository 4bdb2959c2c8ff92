# SPDX-License-Identifier: Apache-2.0
"""tests/support/schemas.py - random JSON schemas of what the gateway says it holds.

    for schema in schemas(seed=1, n=100): ...

They are small enough that a model is done with a document soon: strings and arrays are bounded in
most of them.
"""
import random

WORDS = ["name", "age", "city", "tags", "size", "über", "a b", "x\"y", "id", "kind", "note", "email"]
FORMATS = ["date", "time", "date-time", "uuid", "ipv4", "email", "hostname", "uri"]
PATTERNS = ["^[a-z]{2,5}$", "^(red|green|blue)-[0-9]+$", "^\\d{3}-\\d{4}$", "^[^x]{1,4}$",
            "^\\w+( \\w+){0,2}$", "^(a|bc)*d?$", "^.{1,6}$"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def string(self):
        r = self.random
        kind = r.randrange(5)
        if kind == 0:
            return {"type": "string", "format": r.choice(FORMATS)}
        if kind == 1:
            return {"type": "string", "pattern": r.choice(PATTERNS)}
        low = r.randrange(5)
        return {"type": "string", "minLength": low, "maxLength": low + r.randrange(12)}

    def number(self):
        r = self.random
        schema = {"type": r.choice(["integer", "number"])}
        low = r.choice([-1000, -17, -5, 0, 1, 8, 99, 12345])
        if r.random() < 0.6:
            schema[r.choice(["minimum", "exclusiveMinimum"])] = low
        if r.random() < 0.6:
            schema[r.choice(["maximum", "exclusiveMaximum"])] = low + r.choice([2, 3, 10, 255, 4096])
        if schema["type"] == "integer" and r.random() < 0.1:
            schema["multipleOf"] = 1
        return schema

    def values(self):
        r = self.random
        some = ["red", "green", 1, -2.5, True, None, "a\"b\\c", "\n", {"a": [1, "x"]}, [], "ü"]
        if r.random() < 0.3:
            return {"const": r.choice(some)}
        return {"enum": r.sample(some, r.randint(1, 5))}

    def array(self, depth):
        r = self.random
        schema = {"type": "array", "minItems": r.randrange(3)}
        schema["maxItems"] = schema["minItems"] + r.randrange(3)
        if r.random() < 0.3:
            schema["prefixItems"] = [self.schema(depth + 1) for _ in range(r.randint(1, 2))]
            schema["maxItems"] += 2
        schema["items"] = False if "prefixItems" in schema and schema["minItems"] == 0 and \
            r.random() < 0.5 else self.schema(depth + 1)
        return schema

    def object(self, depth):
        r = self.random
        if r.random() < 0.12:
            return {"type": "object", "patternProperties": {"^[a-z]{1,4}$": self.scalar()},
                    "additionalProperties": False}
        names = r.sample(WORDS, r.randint(0, 4))
        schema = {"type": "object", "properties": {n: self.schema(depth + 1) for n in names},
                  "required": [n for n in names if r.random() < 0.6]}
        kind = r.randrange(4)
        if kind == 0:
            schema["additionalProperties"] = False
        elif kind == 1:
            schema["additionalProperties"] = self.scalar()
            if r.random() < 0.5:
                schema["required"].append("further")
        if names and r.random() < 0.3:
            schema["minProperties"] = 1
        return schema

    def scalar(self):
        return self.random.choice([self.string, self.number, self.values,
                                   lambda: {"type": self.random.choice(["boolean", "null"])},
                                   lambda: {"type": ["integer", "null"], "minimum": 3}])()

    def alternatives(self, depth):
        r = self.random
        kind = r.randrange(4)
        if kind == 0:
            return {"anyOf": [self.schema(depth + 1) for _ in range(r.randint(1, 3))]}
        if kind == 1:
            return {"oneOf": [{"type": "string", "maxLength": 5}, {"type": "integer"},
                              {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}]}
        if kind == 2:
            return {"oneOf": [{"type": "object", "required": ["kind", "v"], "properties": {
                "kind": {"const": k}, "v": self.schema(depth + 1)}} for k in ("one", "two")]}
        return {"allOf": [{"type": "object", "properties": {"a": self.scalar()}, "required": ["a"]},
                          {"type": "object", "properties": {"b": self.scalar()}, "required": ["b"]}]}

    def schema(self, depth=0):
        r = self.random
        draw = r.random()
        if depth >= 3 or draw < 0.45:
            schema = self.scalar()
        elif draw < 0.75:
            schema = self.object(depth)
        elif draw < 0.9:
            schema = self.array(depth)
        else:
            schema = self.alternatives(depth)
        if r.random() < 0.2:
            schema["description"] = "what it is"
        if r.random() < 0.1:
            schema["title"] = "A title"
        return schema

    def document(self):
        r = self.random
        schema = r.choice([self.object, self.object, self.array, self.alternatives])(0)
        if r.random() < 0.2 and schema.get("type") == "object" and "properties" in schema:
            schema["$defs"] = {"tree": {"type": "object", "additionalProperties": False,
                                        "properties": {"v": {"type": "integer", "minimum": 0,
                                                             "maximum": 9},
                                                       "next": {"anyOf": [{"$ref": "#/$defs/tree"},
                                                                          {"type": "null"}]}},
                                        "required": ["v", "next"]}}
            schema["properties"]["tree"] = {"$ref": "#/$defs/tree"}
        return schema


def schemas(seed, n):
    maker = Maker(seed)
    return [maker.document() for _ in range(n)]
