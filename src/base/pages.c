/* Memory for arrays that are read from end to end, over and over. A processor keeps the addresses of some thousand pages at hand; on a
 * virtual machine each further one costs as much as several misses of the cache. So arrays that fill most of a huge page lie in huge pages,
 * where the system gives them to those who ask (transparent_hugepage: madvise or always). */
#include "sweepd/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t line = 64, huge_page = (size_t)2 << 20, huge_from = (size_t)1 << 20;

void *pages_new(size_t bytes) {
    const size_t unit = bytes >= huge_from ? huge_page : line;
    if (bytes > SIZE_MAX - unit)
        return NULL;
    const size_t size = (bytes > 0 ? (bytes + unit - 1) / unit : 1) * unit;
    void *memory = aligned_alloc(unit, size);
    if (!memory)
        return NULL;
    if (unit == huge_page)
        (void)madvise(memory, size, MADV_HUGEPAGE); /* without them it is slower, not wrong */
    return memset(memory, 0, size);
}
