/* What the actions of `sweepctl data` share. */
#pragma once

#include "cli.h"

#include "sweepd/data.h"

/* Of the paths below: makes the folder that the file is to lie in. Those that only look make none. */
int data_folder_make(const char *path, Error *error);
/* A text with a '/' is a path; another is the name of HOME/data/NAME.pack. */
int data_pack_path(const Cli *cli, const char *text, char out[PATH_TEXT_MAX], Error *error);
/* Where what is fetched under a name lies: a known set under its own file's name, any other as NAME.fetched. */
int data_download_path(const Cli *cli, const char *name, char out[PATH_TEXT_MAX], Error *error);

/* {"name":..., without the closing brace. */
void data_info_json(const DataInfo *info, const char *path, Buffer *out);

int data_fetch(const Cli *cli, const Arguments *arguments, Error *error);
int data_pack(const Cli *cli, const Arguments *arguments, Error *error);

/* How far something is: a line that is drawn anew on a terminal's stderr, else nothing. */
typedef struct Meter {
    const char *verb; /* "fetched" */
    const char *unit; /* "B", or "" */
    bool shown;
    double drawn, start; /* monotonic time; 0: not yet */
    int64_t first;
} Meter;

void meter_init(Meter *meter, const char *verb, const char *unit);
void meter_update(void *meter, int64_t done, int64_t total);
void meter_end(Meter *meter);
