/* The numbers of Poseidon2 in the limbs of pow_avx512.c: {c mod 2^52, floor(c / 2^52)}.
 *
 * All follow from poseidon2_constants.c; the tests that compare the backends would notice any
 * difference.  E is the matrix of the external layer.  A "start" of an s-box carries the constants
 * of the next round in front of the layer in between, so it is pow_avx512_start + E^-1 c.
 *
 *     start              2^52 start[1] + start[0] + 2^52 - 2^8 = p
 *     diagonal           of the internal layer
 *     first_constants    c of the first initial round
 *     second_constants   the same, plus E times the terminator and padding (1, 1, 0, ...)
 *     initial_starts     initial rounds 1 to 3; the first internal constant (element 0 only)
 *     internal_constants internal rounds 1 to 21; 0
 *     terminal_constants c of the first terminal round
 *     terminal_starts    terminal rounds 1 to 3; 0 */
#ifndef PQI_MINER_POW_AVX512_TABLES_H
#define PQI_MINER_POW_AVX512_TABLES_H

#include "miner/poseidon2_constants.h"

static const uint64_t pow_avx512_start[2] = {0xfffff00000101, 0xffe};

static const uint64_t pow_avx512_diagonal[PQI_POSEIDON2_WIDTH][2] = {
    {0x0006c08e23ba9300, 0xc3b}, {0x000b5de94a324fb6, 0xd84}, {0x000c371c5b35b84f, 0xd0},
    {0x0004f570e7188037, 0x796}, {0x000f18bbd996604b, 0x5da}, {0x0003bc47b9595257, 0x674},
    {0x0008b9362c59bb70, 0x552}, {0x0005e25b7127b68b, 0xac4}, {0x00077d7dfbb606b5, 0xa20},
    {0x000aac6faee378ae, 0xf3f}, {0x000388b51545e883, 0xc6},  {0x000dbb6944917b60, 0xd27}};

static const uint64_t pow_avx512_first_constants[PQI_POSEIDON2_WIDTH][2] = {
    {0x0002e770975b1607, 0xc00}, {0x00051a8dfe14593a, 0xbca}, {0x00038dfbe774f7f9, 0x729},
    {0x0002fe29e03234ac, 0xe4f}, {0x0000ba2f541b6449, 0xd5e}, {0x0003b868f3cc46c1, 0xec3},
    {0x000dcb55419d475a, 0x486}, {0x000cb2a358cc24f1, 0x6c1}, {0x00030d509a1436bb, 0xe3f},
    {0x00064f068dca7c29, 0xd9a}, {0x000b3f57aabba1ae, 0xe59}, {0x000dd4505b478fdc, 0x2a3}};

static const uint64_t pow_avx512_second_constants[PQI_POSEIDON2_WIDTH][2] = {
    {0x0002e770975b1611, 0xc00}, {0x00051a8dfe145940, 0xbca}, {0x00038dfbe774f7fd, 0x729},
    {0x0002fe29e03234b4, 0xe4f}, {0x0000ba2f541b644e, 0xd5e}, {0x0003b868f3cc46c4, 0xec3},
    {0x000dcb55419d475c, 0x486}, {0x000cb2a358cc24f5, 0x6c1}, {0x00030d509a1436c0, 0xe3f},
    {0x00064f068dca7c2c, 0xd9a}, {0x000b3f57aabba1b0, 0xe59}, {0x000dd4505b478fe0, 0x2a3}};

static const uint64_t pow_avx512_initial_starts[PQI_POSEIDON2_EXTERNAL_ROUNDS][PQI_POSEIDON2_WIDTH]
                                               [2] = {{{0x001c001ff252ccac, 0x13b4},
                                                       {0x001afdc6fe008f72, 0x1364},
                                                       {0x0019e8e188e98d4d, 0x1f4f},
                                                       {0x0015992d328c07fb, 0x177a},
                                                       {0x001358a2e7155bc9, 0x11c8},
                                                       {0x001c9d452e5edd9d, 0x1de8},
                                                       {0x00115e9fffcfcd1c, 0x1084},
                                                       {0x001338665ccac76b, 0x11b0},
                                                       {0x00168f6af956776a, 0x1a1c},
                                                       {0x001d09e07935052a, 0x155b},
                                                       {0x00136df391f9c35f, 0x1b56},
                                                       {0x001836e79c15a8bf, 0x1abd}},
                                                      {{0x001b9651ad0897fa, 0x1d9a},
                                                       {0x001aea4afe06693b, 0x1e01},
                                                       {0x001ca2d5fa155e55, 0x1bf9},
                                                       {0x00119e7f7d3e7da0, 0x1702},
                                                       {0x00170e2d52fbddc7, 0x1154},
                                                       {0x0011410a54b2baf2, 0x11af},
                                                       {0x001d71f2a5ea41bc, 0x1cb5},
                                                       {0x001b16e56000528c, 0x1383},
                                                       {0x001fe0127130f4b2, 0x1074},
                                                       {0x0012a5af4472385f, 0x1f02},
                                                       {0x001e73519a16b409, 0x1092},
                                                       {0x001f223a6b4ea943, 0x10bd}},
                                                      {{0x0018023aac2e8bd9, 0x1f4d},
                                                       {0x001ef5548c3e12d7, 0x1f39},
                                                       {0x001d5d07a6006571, 0x1584},
                                                       {0x0016acf43c723eb3, 0x176b},
                                                       {0x00159ee8741b24ac, 0x158f},
                                                       {0x001bff30c3475bc0, 0x1a45},
                                                       {0x001ba3bb583e5e93, 0x134f},
                                                       {0x001d6cc5bf9fca97, 0x1dcd},
                                                       {0x00113c684aaa4568, 0x147c},
                                                       {0x00172e265282d786, 0x1580},
                                                       {0x0010b9becad90922, 0x1f35},
                                                       {0x001b4565002eb7a9, 0x1b7f}},
                                                      {{0x001ac9b137848f5f, 0x108c},
                                                       {0x001a26c9140ca3f2, 0x159f},
                                                       {0x0015aaa898ac8884, 0x1986},
                                                       {0x001fe8b8d65c963b, 0x1792},
                                                       {0x00171217ed7e7c38, 0x1fce},
                                                       {0x0011f3104ea6755c, 0x18c8},
                                                       {0x001371c5cd1bd3d6, 0x177b},
                                                       {0x001ab26b0de12499, 0x1821},
                                                       {0x00171217ed7e7c38, 0x1fce},
                                                       {0x0011f3104ea6755c, 0x18c8},
                                                       {0x001371c5cd1bd3d6, 0x177b},
                                                       {0x001ab26b0de12499, 0x1821}}};

static const uint64_t pow_avx512_internal_constants[PQI_POSEIDON2_INTERNAL_ROUNDS][2] = {
    {0x0002bf082f60d4f0, 0xd1d}, {0x000377a79f9ad206, 0x69a}, {0x00006906a3858e24, 0xa9d},
    {0x000275001eede5b5, 0x295}, {0x0004e441117bd746, 0x587}, {0x00084bbba8ed86cc, 0x8a0},
    {0x000fd7645cde6425, 0x3de}, {0x0008cfe6871cc137, 0x399}, {0x0002ef8bca48314a, 0x3e5},
    {0x000a209f85dc9ecc, 0x964}, {0x000c9ee82cc4577e, 0x3fc}, {0x0009b4a5d0096d6d, 0x8e7},
    {0x0002362ad2392556, 0x849}, {0x0002f470262574d6, 0xee7}, {0x000e18496da2444a, 0x1e0},
    {0x000a74bf215eaac6, 0xf3},  {0x00061b76a1c0ded3, 0x1b0}, {0x000c42d86803d7a6, 0x192},
    {0x00049ff997ae0260, 0xf6d}, {0x000372e7a0fa3786, 0x3ec}, {0x0008cdf4f23445d3, 0x553},
    {0x0000000000000000, 0x0}};

static const uint64_t pow_avx512_terminal_constants[PQI_POSEIDON2_WIDTH][2] = {
    {0x0002c539e0ea4c6e, 0x7b7}, {0x000573dae2ce9976, 0x144}, {0x000028b68f35fc88, 0x802},
    {0x0006c5022c4fe7c2, 0x6d3}, {0x0005d0ffa9b9def3, 0xa20}, {0x0007e38b1ea6ba2f, 0xf6e},
    {0x0007909ae5258d64, 0x34f}, {0x00064d9d77b97fca, 0xb04}, {0x000db9d5de7e00a6, 0x64d},
    {0x0000d75c27975d97, 0xed},  {0x000b36f11127338b, 0x1cb}, {0x0003e505cfd0b6ba, 0x667}};

static const uint64_t pow_avx512_terminal_starts[PQI_POSEIDON2_EXTERNAL_ROUNDS][PQI_POSEIDON2_WIDTH]
                                                [2] = {{{0x001114c5e9d0f403, 0x11e7},
                                                        {0x00153564e3d32d64, 0x13c5},
                                                        {0x0017da6bc43a0762, 0x110a},
                                                        {0x001dc6bfa3a08b48, 0x1c23},
                                                        {0x0012bfd4d1953184, 0x1167},
                                                        {0x0015954d4ddfdf0a, 0x13d4},
                                                        {0x001955da6dca7d86, 0x1da5},
                                                        {0x001188086432a7b8, 0x198f},
                                                        {0x00110508c4dd08bf, 0x1f35},
                                                        {0x001d7f9d812935af, 0x1bab},
                                                        {0x001bda12312aa4c2, 0x14fb},
                                                        {0x001939c5c573c7be, 0x114b}},
                                                       {{0x00152c45f1d26906, 0x16f9},
                                                        {0x001796fba17cda3f, 0x1b5b},
                                                        {0x001d848bf4068bfa, 0x1bb0},
                                                        {0x0015770c42a9a0f3, 0x1e3e},
                                                        {0x00106cf32aaec560, 0x157f},
                                                        {0x001a48c91ff816a2, 0x12ce},
                                                        {0x00132ed09f1ece2a, 0x164c},
                                                        {0x001c2202643bd187, 0x12d8},
                                                        {0x001dee3079aa20d3, 0x14e3},
                                                        {0x0010cb3cca6f5b96, 0x1d01},
                                                        {0x0014b14ae857fd6a, 0x1e4d},
                                                        {0x001e424688a773a5, 0x1e81}},
                                                       {{0x001e2cd4987a4744, 0x1abf},
                                                        {0x0014c94d8346ed32, 0x1c16},
                                                        {0x0017fd979b5420fd, 0x13c0},
                                                        {0x0018ee94a16b76b3, 0x152b},
                                                        {0x00184c8253a60f35, 0x186b},
                                                        {0x001cc37cfcc55bcd, 0x123d},
                                                        {0x00165dc0a113b624, 0x13ac},
                                                        {0x00149dca3443c268, 0x1715},
                                                        {0x00189172402e3bba, 0x1c37},
                                                        {0x00155a168fee0f81, 0x1fa1},
                                                        {0x00180b40aff8b161, 0x128c},
                                                        {0x0011a6094e794305, 0x1e19}},
                                                       {{0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe},
                                                        {0x000fffff00000101, 0xffe}}};

#endif
