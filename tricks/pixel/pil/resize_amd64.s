#include "textflag.h"

// Bytes 0, 1, 2 and 3, 4, 5 of eight, each widened to 32 bits; one lane of
// each half stays zero.
DATA spread<>+0(SB)/8, $0x8080800180808000
DATA spread<>+8(SB)/8, $0x8080808080808002
DATA spread<>+16(SB)/8, $0x8080800480808003
DATA spread<>+24(SB)/8, $0x8080808080808005
GLOBL spread<>(SB), RODATA|NOPTR, $32

// Half a level in 22-bit fixed point, in the lower half only.
DATA halfLower<>+0(SB)/8, $0x0020000000200000
DATA halfLower<>+8(SB)/8, $0x0020000000200000
DATA halfLower<>+16(SB)/8, $0
DATA halfLower<>+24(SB)/8, $0
GLOBL halfLower<>(SB), RODATA|NOPTR, $32

DATA halfAll<>+0(SB)/4, $0x00200000
GLOBL halfAll<>(SB), RODATA|NOPTR, $4

// func horizontalRGB(dst, src *uint8, offsets, weights *int32, width, pairs int)
TEXT ·horizontalRGB(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ offsets+16(FP), R8
	MOVQ weights+24(FP), R9
	MOVQ width+32(FP), CX
	MOVQ pairs+40(FP), DX
	VMOVDQU spread<>(SB), Y7
	VMOVDQU halfLower<>(SB), Y6

pixel:
	MOVLQSX (R8), AX
	ADDQ $4, R8
	LEAQ (SI)(AX*1), BX
	VMOVDQA Y6, Y0
	MOVQ DX, R10

pair:
	VPBROADCASTQ (BX), Y1
	VPSHUFB Y7, Y1, Y1
	VPMULLD (R9), Y1, Y1
	VPADDD Y1, Y0, Y0
	ADDQ $6, BX
	ADDQ $32, R9
	DECQ R10
	JNZ pair

	VEXTRACTI128 $1, Y0, X1
	VPADDD X1, X0, X0
	VPSRAD $22, X0, X0
	VPACKSSDW X0, X0, X0
	VPACKUSWB X0, X0, X0
	VMOVD X0, (DI)
	ADDQ $3, DI
	DECQ CX
	JNZ pixel
	VZEROUPPER
	RET

// func verticalBlocks(dst, src *uint8, stride int, weights *int32, taps, blocks int)
TEXT ·verticalBlocks(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ stride+16(FP), R8
	MOVQ weights+24(FP), R9
	MOVQ taps+32(FP), DX
	MOVQ blocks+40(FP), CX
	VPBROADCASTD halfAll<>(SB), Y6

block:
	VMOVDQA Y6, Y0
	VMOVDQA Y6, Y1
	MOVQ SI, BX
	MOVQ R9, R10
	MOVQ DX, R11

tap:
	VPBROADCASTD (R10), Y4
	VPMOVZXBD (BX), Y2
	VPMOVZXBD 8(BX), Y3
	VPMULLD Y4, Y2, Y2
	VPMULLD Y4, Y3, Y3
	VPADDD Y2, Y0, Y0
	VPADDD Y3, Y1, Y1
	ADDQ R8, BX
	ADDQ $4, R10
	DECQ R11
	JNZ tap

	VPSRAD $22, Y0, Y0
	VPSRAD $22, Y1, Y1
	VPACKSSDW Y1, Y0, Y0
	VPERMQ $0xD8, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKUSWB X1, X0, X0
	VMOVDQU X0, (DI)
	ADDQ $16, DI
	ADDQ $16, SI
	DECQ CX
	JNZ block
	VZEROUPPER
	RET
