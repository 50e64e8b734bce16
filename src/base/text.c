/* Text from outside, which terminals, logs and JSON are to bear. */
#include "sweepd/base.h"

#include <stdio.h>
#include <string.h>

size_t text_character_size(const char *text) {
    const unsigned char *bytes = (const unsigned char *)text;
    if (bytes[0] < 0x80)
        return 1;
    size_t size = bytes[0] >= 0xf0 ? 4 : (bytes[0] >= 0xe0 ? 3 : 2);
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xf0 && bytes[1] < 0x90);
    bool outside = (bytes[0] == 0xed && bytes[1] > 0x9f) || (bytes[0] == 0xf4 && bytes[1] > 0x8f);
    return overlong || outside ? 0 : size;
}

/* Of the character at text when it is a plain one, else 0. U+0080 to U+009F are control characters as well. */
static size_t plain_character_size(const char *text) {
    unsigned char first = (unsigned char)text[0];
    if (first < 0x20 || first == 0x7f || (first == 0xc2 && (unsigned char)text[1] <= 0x9f))
        return 0;
    return text_character_size(text);
}

size_t text_plain_size(const char *text) {
    size_t size = 0;
    for (size_t more; (more = plain_character_size(text + size));)
        size += more;
    return size;
}

bool text_is_plain(const char *text) {
    return text[text_plain_size(text)] == '\0';
}

void text_copy_plain(char *target, size_t capacity, const char *source) {
    enum { ESCAPE = 4 }; /* \xff */
    size_t used = 0;
    for (size_t more; *source; source += more ? more : 1) {
        more = plain_character_size(source);
        size_t size = more ? more : ESCAPE;
        if (used + size >= capacity)
            break;
        if (more)
            memcpy(target + used, source, more);
        else
            snprintf(target + used, ESCAPE + 1, "\\x%02x", (unsigned)(unsigned char)*source);
        used += size;
    }
    target[used] = '\0';
}
