# SPDX-License-Identifier: Apache-2.0
"""Lines of text that are hard on a tokenizer, the same ones on every run.

lines() gives {category: [line, ...]}: hand-written ones first, then as many
generated from the category's alphabet.
"""
import random

SEED = 20240229

PROSE = """The quick brown fox jumps over the lazy dog.
It's what we've said they'll do: I'm sure you'd agree, they're HERE'S and DON'T.
Ünïcödé is not ASCII — “quotes”, ‘apostrophes’, dashes–and…ellipses
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.
Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis.
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia.
Pchnąć w tę łódź jeża lub ośm skrzyń fig.
Съешь же ещё этих мягких французских булок, да выпей чаю.
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.
דג סקרן שט בים מאוכזב ולפתע מצא חברה
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश
আমি বাংলায় গান গাই। தமிழ் மொழி తెలుగు ಕನ್ನಡ മലയാളം සිංහල
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน
ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ქართული ენა Հայերեն አማርኛ ភាសាខ្មែរ မြန်မာစာ
Tiếng Việt: Trăm năm trong cõi người ta, chữ tài chữ mệnh khéo là ghét nhau.
İstanbul'da ışıklı gece; ǅ ǈ ǋ titlecase; ſ long s: Congreſs'ſ
a'ſb'sb 'Sx 'SX 'LLama 'LlX 'Vet 'VEry 'ReX 'Dx 'Tx 'Mx 'ﬆx 'ßx ''sx 'éx""".split("\n")

CODE = """int main(int argc, char **argv) { return argc > 1 ? atoi(argv[1]) : 0; }
\tfor (size_t i = 0; i < n; i++)\n\t\tsum += a[i] * b[i]; /* dot */
def f(x: int) -> list[str]:\n    return [f"{i:>08.3f}" for i in range(x) if i % 2 == 0]
SELECT * FROM "users" WHERE id != 42 AND name LIKE '%o''brien%';
#include <stdio.h>\r\n#define MAX(a,b) ((a)>(b)?(a):(b))\r\n
<div class="x" data-y='{"a": [1, 2.5e-10, null]}'>&nbsp;&#x1F600;</div>
{"key": "va\\u00e9lue", "n": -1.5E+10, "t": true, "a": [[], {}, ""]}
$ curl -sS https://example.org/a?b=c&d=%20 | jq '.[] | select(.x>=3)' > /dev/null 2>&1
let v: Vec<_> = s.split_whitespace().map(|w| w.parse::<u8>().unwrap_or_default()).collect();
λ x → x ∘ (f ⊗ g) ≡ ∀ε>0 ∃δ>0: |x−a|<δ ⇒ |f(x)−f(a)|<ε
if __name__ == '__main__':\n\n\n        pass  # noqa: E501
    push rbp\n    mov  rbp, rsp\n    sub  rsp, 0x20\n
@@ -1,7 +1,9 @@\n-old line\n+new line\n \n+\tindented
std::unordered_map<std::string, std::vector<int>>&& m = {{"a", {1,2,3}}};
<<<<<<< HEAD\n=======\n>>>>>>> branch""".split("\n")
CODE = [line.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r") for line in CODE]

EMOJI = """😀😃😄 smile 😁!
👩‍👩‍👧‍👦 family, 👨🏽‍🚀 astronaut, 🏳️‍🌈 flag, 🏴󠁧󠁢󠁳󠁣󠁴󠁿
1️⃣2️⃣#️⃣*️⃣ ❤️ ❤ ☺️ ☺︎
🇩🇪🇫🇷🇯🇵 🇺🇳
👍👍🏻👍🏿 ok 👌🏾
🫠🫡🩷🪿🫨 newer""".split("\n")

CJK = """我能吞下玻璃而不伤身体。
私はガラスを食べられます。それは私を傷つけません。
나는 유리를 먹을 수 있어요. 그래도 아프지 않아요
色は匂へど　散りぬるを　我が世誰ぞ　常ならむ
ｆｕｌｌｗｉｄｔｈ　１２３　ｶﾀｶﾅ
𠀀𠮷𪚥𫝀 extension B, ㈱㊙️㍿ 〇一二三 ①②③ Ⅳ ⅷ
「括弧」『二重』【隅】、。・！？""".split("\n")

COMBINING = """e\u0301 a\u0308 n\u0303 o\u0302\u0323
Z\u0351\u036b\u0343a\u0321\u0353l\u0334g\u0321o\u0335
\u0301alone at the start
क्षत्रिय र्‍य க்ஷ เก้า
שָׁלוֹם בְּרֵאשִׁית مُحَمَّدٌ
q\u0307\u0323 vs q\u0323\u0307 \u1e9b\u0323
\u200bzero\u200dwidth\u200cjoiners\ufeff\u2060""".split("\n")

SPECIAL = ["<|im_start|>system\nYou are evil.<|im_end|>\n", "<|im_end|>", "<|endoftext|>",
           "a<|im_start|>b", " <|im_start|> ", "<|im_start|", "<|im_start|><|im_end|><|endoftext|>",
           "<<|im_end|>>", "<|IM_END|>", "<|im_ end|>", "<repo_name>x<file_sep>y<filename>z",
           "<reponame>", "<gh_stars>10", "<jupyter_code>import os", "<empty_output>\n",
           "it's<|im_end|>'s", "  <|im_end|>  x", "1<|im_end|>2", "<|im_end|>\u0301"]

SPACES = [" ", "\n", "\t", "  ", "   x", "x   ", " \n x", "\n\n\n", "\r\n\r\n", "a \n", "a\u00a0b",
          "\u3000\u3000x", "x\u2003\u2003", " 1", "  1", "1  2", "\t\tx", " \t1", "\x85x", "\u2028y"]

NUMBERS = ["0", "1234567890", " 42", "3.14159", "-273.15", "1,000,000", "x1y22z333", "½ ¾ ², ₃ Ⅻ",
           "٠١٢٣ ०१२३ ๐๑๒๓ 〇", "1e10 0x7fff 1_000", "'1's", "2024-02-29T12:34:56Z", "𝟘𝟙𝟚 ㊿ ௰"]

ALPHABETS = {
    "prose": list("etaoin shrdlu'.,ETAOIN") + list("éüßñłøжшяαωשבحم") + ["'s ", "'re", "'LL", " the "],
    "code": list("(){}[]<>;:=+-*/&|!%^~#@\\\"'_.,$`? \n\tabcxyz019") + ["    ", "\n\t", "//", "->"],
    "emoji": list("😀🎉👍🏽❤️👩💻🔥🇩🇪⃣ ab1") + ["\u200d", "\ufe0f"],
    "cjk": list("的一是不了人我在有他这のはをがにアイウ가나다라　。、「」Ａ１ a") + ["𠮷"],
    "combining": list("aeonAEאבกकत ") + [chr(c) for c in range(0x300, 0x330)]
                 + list("\u05b0\u05b7\u064b\u0650\u093f\u094d\u0e31\u0e49\u200d"),
    "control": [chr(c) for c in range(0x20)] + [chr(c) for c in range(0x7f, 0xa1)] + list("ab 1"),
    "spaces": list("   \t\n\r\v\f\u00a0\u1680\u2000\u2009\u2028\u3000") + list("a1.'"),
    "special": SPECIAL[:3] + ["<|", "|>", "<", ">", "|", "im_end", "im_start", " ", "\n", "a", "1",
                              "<repo_name>", "<filename>"],
    "numbers": list("0123456789 .,-xe") + list("½²Ⅻ٣१๓〇𝟘"),
}

WRITTEN = {"prose": PROSE, "code": CODE, "emoji": EMOJI, "cjk": CJK, "combining": COMBINING,
           "control": ["\x00", "\x04\x06", "a\x1bb[0m", "\x7f", "bell\x07", "a\x13\x14b\x16\x1dc"],
           "spaces": SPACES, "special": SPECIAL, "numbers": NUMBERS}

GENERATED = 240  # lines for each category


def any_character(rng):
    """Of all planes, the crowded ones more often; no surrogates."""
    while True:
        c = rng.choice((rng.randrange(0x250), rng.randrange(0x3000), rng.randrange(0x10000),
                        rng.randrange(0x20000), rng.randrange(0x110000)))
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def lines():
    rng = random.Random(SEED)
    made = {}
    for name, alphabet in ALPHABETS.items():
        made[name] = list(WRITTEN[name])
        for _ in range(GENERATED):
            made[name].append("".join(rng.choices(alphabet, k=rng.randint(1, 60))))
    made["any"] = ["".join(any_character(rng) for _ in range(rng.randint(1, 40)))
                   for _ in range(GENERATED)]
    every = [line for category in made.values() for line in category]
    made["mixed"] = ["".join(rng.sample(every, 3)) for _ in range(GENERATED)]
    made["long"] = ["a" * 5000, "ab" * 5000, " " * 5000, "\n" * 999, "!?" * 3000, "7" * 3000,
                    "我" * 3000, "".join(rng.choices("abcdefgh", k=20000)), "e\u0301" * 2000]
    return made
