/* What the runs of a study were trained with: everything that decides a run's result but its model's shape, its examples and its
 * seeds. A run's record tells the learning rate alone; the rest comes from the sweep's file. */
#pragma once

#include "study.h"

enum { SETTINGS_NAMES_MAX = 64, SETTING_TEXT_MAX = 128 };

/* Names of settings, as run_setting has them: "lr", "epochs", "optimizer" (its name), ... */
typedef struct SettingNames {
    size_t count;
    char names[SETTINGS_NAMES_MAX][SETTING_NAME_MAX];
} SettingNames;

/* Fills study->file and ->settings and of each run `setting`, `cell` and `tuned`. Where the file cannot be had or has other runs, they stay
 * NULL. 0 or negative. */
int settings_load(Study *study, Source *source, Error *error);
/* Adds the names of what differs between the settings of two runs. */
void settings_compare(const Study *study, const StudyRun *left, const StudyRun *right, SettingNames *out);
/* Leaves out numbers that a shown choice decides, as the optimizer's name decides beta1 where no run states another. */
void settings_drop_decided(const Study *study, SettingNames *names);
/* The names of all that differs between any two runs of the study. */
void settings_differing(const Study *study, SettingNames *out);
/* A run's value, NULL when it has no setting of that name; the study's. */
const json_t *settings_find(const Study *study, const StudyRun *run, const char *name);
/* The same as text; "-" when the run has none of that name. */
const char *settings_value(const Study *study, const StudyRun *run, const char *name, char out[SETTING_TEXT_MAX]);
