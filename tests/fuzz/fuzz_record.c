/* record/reader.c and explain/: a record from a stranger, to its reports. */
#include "fuzz.h"

#include "explain/explain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct catalogue *catalogue;
        struct record_events events;
        struct explanation ex;
        char path[32];
        int fd = fuzz_file(data, len, path);
        FILE *out = fopen("/dev/null", "w");

        if (catalogue == NULL)
                catalogue_load(&catalogue, "contrib/catalogue.conf", NULL, NULL);
        if (record_read(path, &events) == 0 && explain(&events, catalogue, &ex) == 0) {
                report_text(&ex, "record.jsonl", out);
                report_json(&ex, "record.jsonl", out);
                report_html(&events, &ex, "record.jsonl", out);
                report_har(&events, &ex, out);
                report_otlp(&events, &ex, out);
                report_trace(&events, &ex, out);
                explanation_free(&ex);
        }
        record_events_free(&events);
        fclose(out);
        close(fd);
        return 0;
}
