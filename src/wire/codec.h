/* codec: one table of fields per message, from which both its JSON is written and its JSON is read. */
#pragma once

#include <jansson.h>

#include "sweepd/wire.h"

typedef struct CodecField CodecField;

/* Where reading stands, so that an error can name the field: "points[3].metrics.test_error". */
typedef struct Decoder {
    char path[256];
    size_t length;
    bool strict; /* unknown fields are errors: so for requests; answers of a newer daemon may carry more */
    Error *error;
} Decoder;

typedef enum {
    CODEC_BOOL,
    CODEC_INTEGER,  /* int64_t, at least `minimum` */
    CODEC_UNSIGNED, /* uint64_t; as text above INT64_MAX, since JSON readers stop there */
    CODEC_NUMBER,   /* finite double */
    CODEC_TEXT,     /* char[size] */
    CODEC_OUTCOME,
    CODEC_STATE,
    CODEC_DIRECTIVE,
    CODEC_OBJECT, /* a struct with a table of its own */
    CODEC_OTHER,  /* by the two functions */
} CodecKind;

struct CodecField {
    const char *name; /* NULL ends a table */
    CodecKind kind;
    size_t offset, size;
    int64_t minimum;
    const CodecField *fields;
    void (*encode)(const void *value, Buffer *out);
    int (*decode)(Decoder *decoder, void *value, const json_t *json);
};

#define CODEC_MEMBER(type, member, kind)                                                                                                   \
    { #member, kind, offsetof(type, member), sizeof(((type *)0)->member), 0, NULL, NULL, NULL }
#define CODEC_NESTED(type, member, table)                                                                                                  \
    { #member, CODEC_OBJECT, offsetof(type, member), 0, 0, table, NULL, NULL }
#define CODEC_CUSTOM(type, member, encoder, decoder)                                                                                       \
    { #member, CODEC_OTHER, offsetof(type, member), 0, 0, NULL, encoder, decoder }
/* A field whose functions are given the whole message. */
#define CODEC_WHOLE(name, encoder, decoder)                                                                                                \
    { name, CODEC_OTHER, 0, 0, 0, NULL, encoder, decoder }
#define CODEC_END                                                                                                                          \
    { NULL, CODEC_BOOL, 0, 0, 0, NULL, NULL, NULL }

void codec_encode(const CodecField *fields, const void *message, Buffer *out);
/* As codec_encode, without the braces, so that several tables can make one object. */
void codec_encode_fields(const CodecField *fields, const void *message, Buffer *out);

/* The text as a JSON string, cut after PATH_TEXT_MAX - 1 bytes. */
void codec_append_text(const char *text, Buffer *out);

/* Reads text into a json_t object and decodes it. All decoders: 0, WIRE_INVALID or -1. */
int codec_decode_text(const CodecField *fields, void *message, bool strict, const char *json, size_t size, Error *error);
int codec_decode(Decoder *decoder, const CodecField *fields, void *message, const json_t *json);
/* NULL, with *result WIRE_INVALID and the error set, when the text is not a JSON object. To be released with json_decref. */
json_t *codec_parse(const char *json, size_t size, Error *error);

void decoder_init(Decoder *decoder, bool strict, Error *error);
/* Steps into a field or an array's item; leave with the length that was returned. */
size_t decoder_enter(Decoder *decoder, const char *name);
size_t decoder_enter_item(Decoder *decoder, size_t index);
void decoder_leave(Decoder *decoder, size_t length);
/* Sets "path: text" and returns WIRE_INVALID. */
int decoder_fail(Decoder *decoder, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Shared by several messages. */
extern const CodecField codec_environment_fields[];
extern const CodecField codec_point_fields[];
extern const CodecField codec_run_record_fields[];

/* A GpuSet: "0,1". */
void codec_encode_gpus(const void *gpus, Buffer *out);
int codec_decode_gpus(Decoder *decoder, void *gpus, const json_t *json);
void codec_encode_run(const void *run, Buffer *out);
int codec_decode_run(Decoder *decoder, void *run, const json_t *json);
/* A JSON array whose items a table describes. */
void codec_encode_array(const CodecField *fields, const void *items, size_t item_size, size_t count, Buffer *out);
int codec_decode_array(Decoder *decoder, const CodecField *fields, void *items, size_t item_size, size_t capacity, size_t *count,
                       const json_t *json);
