/* Runs a seccomp filter: classic BPF as seccomp_check_filter() of the kernel takes it. Jumps only
 * go forward, so it ends. See bpf.h. */
#include "bpf.h"

#include <stdbool.h>
#include <string.h>

struct machine {
        uint32_t a, x, memory[BPF_MEMWORDS];
};

static bool is_memory(uint32_t k)
{
        return k < BPF_MEMWORDS;
}

static bool load(struct machine *m, const struct sock_filter *at, const struct seccomp_data *call)
{
        uint32_t *to = BPF_CLASS(at->code) == BPF_LD ? &m->a : &m->x;

        switch (BPF_MODE(at->code)) {
        case BPF_ABS:
                if (at->k > sizeof *call - sizeof *to)
                        return false;
                memcpy(to, (const char *)call + at->k, sizeof *to);
                return true;
        case BPF_IMM:
                *to = at->k;
                return true;
        case BPF_LEN:
                *to = sizeof *call;
                return true;
        case BPF_MEM:
                *to = is_memory(at->k) ? m->memory[at->k] : 0;
                return is_memory(at->k);
        default:
                return false;
        }
}

static bool store(struct machine *m, const struct sock_filter *at)
{
        if (!is_memory(at->k))
                return false;
        m->memory[at->k] = BPF_CLASS(at->code) == BPF_ST ? m->a : m->x;
        return true;
}

static bool compute(struct machine *m, const struct sock_filter *at)
{
        uint32_t b = BPF_SRC(at->code) == BPF_X ? m->x : at->k;

        switch (BPF_OP(at->code)) {
        case BPF_ADD:
                m->a += b;
                return true;
        case BPF_SUB:
                m->a -= b;
                return true;
        case BPF_MUL:
                m->a *= b;
                return true;
        case BPF_DIV:
                m->a = b != 0 ? m->a / b : 0;
                return true;
        case BPF_AND:
                m->a &= b;
                return true;
        case BPF_OR:
                m->a |= b;
                return true;
        case BPF_XOR:
                m->a ^= b;
                return true;
        case BPF_LSH:
                m->a <<= b & 31;
                return true;
        case BPF_RSH:
                m->a >>= b & 31;
                return true;
        case BPF_NEG:
                m->a = -m->a;
                return true;
        default:
                return false;
        }
}

/* Instructions to skip, or -1. */
static int64_t jump(const struct machine *m, const struct sock_filter *at)
{
        uint32_t b = BPF_SRC(at->code) == BPF_X ? m->x : at->k;

        switch (BPF_OP(at->code)) {
        case BPF_JA:
                return at->k;
        case BPF_JEQ:
                return m->a == b ? at->jt : at->jf;
        case BPF_JGT:
                return m->a > b ? at->jt : at->jf;
        case BPF_JGE:
                return m->a >= b ? at->jt : at->jf;
        case BPF_JSET:
                return (m->a & b) != 0 ? at->jt : at->jf;
        default:
                return -1;
        }
}

static void exchange(struct machine *m, const struct sock_filter *at)
{
        if (BPF_MISCOP(at->code) == BPF_TAX)
                m->x = m->a;
        else
                m->a = m->x;
}

uint32_t bpf_run(const struct sock_filter *code, size_t len, const struct seccomp_data *call)
{
        struct machine m;
        int64_t skip;
        bool good = true;

        memset(&m, 0, sizeof m);
        for (size_t i = 0; i < len && good; i++) {
                const struct sock_filter *at = &code[i];

                switch (BPF_CLASS(at->code)) {
                case BPF_LD:
                case BPF_LDX:
                        good = load(&m, at, call);
                        break;
                case BPF_ST:
                case BPF_STX:
                        good = store(&m, at);
                        break;
                case BPF_ALU:
                        good = compute(&m, at);
                        break;
                case BPF_JMP:
                        skip = jump(&m, at);
                        good = skip >= 0;
                        i += good ? (size_t)skip : 0;
                        break;
                case BPF_RET:
                        return BPF_RVAL(at->code) == BPF_A ? m.a : at->k;
                case BPF_MISC:
                        exchange(&m, at);
                        break;
                default:
                        break;
                }
        }
        return SECCOMP_RET_KILL_PROCESS;
}
