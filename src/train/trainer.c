#include "builtin.h"
#include "external.h"
#include "simulated.h"

int train_open_data(DatasetMap **out, const char *home, const Run *run, Error *error) {
    int result = *run->data_pack ? dataset_open_pack(out, run->data_pack, run->data_name, run->data_digest, error)
                                 : dataset_open(out, home, run->data_name, run->data_digest, error);
    return result == DATA_REFUSED ? TRAIN_REFUSED : result;
}

int train_locate_data(char path[PATH_TEXT_MAX], const char *home, const Run *run, Error *error) {
    DatasetMap *data;
    if (!*run->data_pack) {
        int result = dataset_locate(path, home, run->data_name, run->data_digest, error);
        return result == DATA_REFUSED ? TRAIN_REFUSED : result;
    }
    int result = train_open_data(&data, home, run, error);
    if (result)
        return result;
    dataset_free(data);
    text_copy(path, PATH_TEXT_MAX, run->data_pack);
    return 0;
}

int trainer_new(Trainer **out, const Run *run, const TrainerOptions *options, Error *error) {
    static int (*const makers[])(Trainer **, const Run *, const TrainerOptions *, Error *) = {
        [TRAINER_BUILTIN] = builtin_new,
        [TRAINER_SIMULATED] = simulated_new,
        [TRAINER_EXTERNAL] = external_new,
    };
    return makers[run->trainer](out, run, options, error);
}

const char *trainer_backend(const Run *run) {
    BackendKind backend;
    if (run->trainer != TRAINER_BUILTIN)
        return trainer_kind_text(run->trainer);
    return builtin_choose_backend(run, NULL, &backend, NULL) ? "" : backend_text(backend);
}

void trainer_free(Trainer *trainer) {
    if (trainer)
        trainer->interface->free(trainer);
}
