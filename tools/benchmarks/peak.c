/* What this processor's float units can do: multiply-adds in enough independent chains to keep them all busy. */
enum { CHAINS = 16, LANES = 16 };
typedef float Vector __attribute__((vector_size(4 * LANES)));

/* Operations done; a multiply-add is two. */
double multiply_adds(long rounds) {
    Vector chain[CHAINS] = {}, factor = {}, term = {};
    factor += 0.5f;
    term += 1.0f;
    for (long r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) {
            chain[i] = chain[i] * factor + term;
            __asm__ volatile("" : "+v"(chain[i])); /* or the compiler would find the limit of the sum */
        }
    }
    return 2.0 * LANES * CHAINS * (double)rounds;
}
