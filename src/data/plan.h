/* plan (private): what a source holds, found by one look at its files; packing reads it a second time along the plan. */
#pragma once

#include "container.h"
#include "image.h"

typedef enum { ROLE_NONE, ROLE_RECORDS, ROLE_IMAGE } FileRole;

typedef struct PlanFile {
    char *name, *link;           /* owned; link: NULL, or the name that has the bytes */
    struct PlanFile *other_name; /* the next link to the same bytes */
    int64_t size;
    FileRole role;
    DataSection section;
    int64_t row;    /* in its section: the first of its records, or its own */
    uint16_t label; /* images */
} PlanFile;

/* A file that is kept whole: labels, names of classes. */
typedef struct PlanNote {
    char *name;
    Buffer bytes;
} PlanNote;

enum { PLAN_NOTES_MAX = 16, NOTE_BYTES_MAX = 1 << 24 };

/* One image after the other, all of one size. */
typedef struct RecordForm {
    int64_t bytes; /* of a record */
    int64_t label; /* its place in the record; -1: labels are in a file of their own, from 1 on */
    Pixels pixels; /* without bytes */
    int64_t start; /* of the pixels */
} RecordForm;

typedef struct Plan {
    const char *source, *format;
    PlanFile *files; /* in the container's order */
    size_t file_count, file_capacity;
    PlanNote notes[PLAN_NOTES_MAX];
    size_t note_count;
    DataInfo info; /* shape 0: not fixed by the format */
    char **names;  /* [info.classes] or NULL; owned */
    RecordForm form;
    char **folders; /* [folder_count] train/CLASS of the source; owned */
    size_t folder_count, folder_capacity;
    PackClasses empty;                     /* those without an image */
    const PlanNote *labels[DATA_SECTIONS]; /* with form.label -1 */
    bool is_idx;
    IdxData idx;
} Plan;

/* 0, DATA_REFUSED, DATA_STOPPED, -1. */
int plan_make(Plan *out, const char *source, Stop stop, Error *error);
void plan_deinit(Plan *plan);

/* Both find their format among the files: 0, PLAN_OTHER when it is none of theirs, DATA_REFUSED, -1. */
enum { PLAN_OTHER = 4 };
int plan_records(Plan *plan, Error *error);
int plan_images(Plan *plan, Error *error);

/* A folder train/CLASS. */
bool plan_is_class(const char *name);
/* Images in train/CLASS/ or the like beside what another format has taken: which is meant nobody can tell here. */
int plan_images_refuse(const Plan *plan, Error *error);
/* The file or a folder on its way has a name that begins with a dot: no data under any format. */
bool plan_is_hidden(const char *name);
/* One of the name's parts is "..": where the file would lie cannot be told from it, and it is no data either. */
bool plan_leaves(const char *name);
/* Neither hidden nor leaving. */
bool plan_is_data(const char *name);
/* What of the source is not taken. */
void plan_report(const Plan *plan, PackReport *report);

const char *plan_base_name(const char *name);
/* The one note of that name; NULL: none. Two are refused, as neither can be told to be the right one. */
int plan_note(const Plan *plan, const char *base_name, const PlanNote **out, Error *error);
/* The file, or the first of its other names from there on, that has a role; NULL: none. */
const PlanFile *plan_file_wanted(const PlanFile *file);
bool plan_is_note(const char *name);
/* Hangs every link on the file that it leads to. */
int plan_links(Plan *plan, Error *error);
/* The lines of a text that are not empty, as class names; `count` of them, or DATA_REFUSED. */
int plan_names_read(Plan *plan, const PlanNote *note, int64_t count, Error *error);
