/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/token.c - the words for tokens that messages use. */
#include "text/template/lex.h"

const char *tmpl_token_words(enum token_kind kind)
{
    static const char *const words[] = {
        [TOKEN_END] = "the end of the template",
        [TOKEN_TEXT] = "text",
        [TOKEN_PRINT_BEGIN] = "'{{'",
        [TOKEN_PRINT_END] = "'}}'",
        [TOKEN_BLOCK_BEGIN] = "'{%'",
        [TOKEN_BLOCK_END] = "'%}'",
        [TOKEN_NAME] = "a name",
        [TOKEN_STRING] = "a string",
        [TOKEN_INTEGER] = "an integer",
        [TOKEN_FLOAT] = "a float",
        [TOKEN_PLUS] = "'+'",
        [TOKEN_MINUS] = "'-'",
        [TOKEN_STAR] = "'*'",
        [TOKEN_SLASH] = "'/'",
        [TOKEN_DOUBLE_SLASH] = "'//'",
        [TOKEN_PERCENT] = "'%'",
        [TOKEN_POWER] = "'**'",
        [TOKEN_TILDE] = "'~'",
        [TOKEN_EQ] = "'=='",
        [TOKEN_NE] = "'!='",
        [TOKEN_LT] = "'<'",
        [TOKEN_LE] = "'<='",
        [TOKEN_GT] = "'>'",
        [TOKEN_GE] = "'>='",
        [TOKEN_ASSIGN] = "'='",
        [TOKEN_DOT] = "'.'",
        [TOKEN_COMMA] = "','",
        [TOKEN_COLON] = "':'",
        [TOKEN_PIPE] = "'|'",
        [TOKEN_LPAREN] = "'('",
        [TOKEN_RPAREN] = "')'",
        [TOKEN_LBRACKET] = "'['",
        [TOKEN_RBRACKET] = "']'",
        [TOKEN_LBRACE] = "'{'",
        [TOKEN_RBRACE] = "'}'",
    };

    return words[kind];
}
