# Made by rustc 1.95 --emit asm -g --crate-type lib -C panic=abort, out of shared.rs:
#   #![no_std]
#   use core::sync::atomic::AtomicU32;
#   #[repr(C)] pub struct InOrder { tag: u8, pub wide: u64, ready: AtomicU32 }
#   pub struct Reordered { a: u8, b: u32, c: u16 }
#   #[repr(C, packed)] pub struct Packed { a: u8, b: u32 }
#   pub struct Pair(u16, i64);
#   #[repr(u8)] pub enum Colour { Red = 1, Blue = 4 }
#   pub enum Message { Quit, Move { x: i32, y: i32 }, Text(u64) }
#   #[repr(C)] pub union Either { bits: u32, value: f32 }
#   #[repr(C)] pub struct Whole { order: InOrder, loose: Reordered, packed: Packed, pair: Pair, colour: Colour, either: Either, ok: bool, letter: char, grid: [[i16; 3]; 2] }
#   #[no_mangle] pub static mut WHOLE: Option<&'static Whole> = None;
#   #[no_mangle] pub static mut MESSAGE: Option<&'static Message> = None;
#   #[no_mangle] pub fn size() -> usize { core::mem::size_of::<Whole>() }
	.file	"shared.39b0ad0d1f6c0f61-cgu.0"
	.file	1 "/src" "shared.rs"
	.section	.text.size,"ax",@progbits
	.globl	size
	.p2align	4
	.type	size,@function
size:
.Lfunc_begin0:
	.cfi_startproc
	.loc	1 13 70 prologue_end
	movl	$88, %eax
	retq
.Ltmp0:
.Lfunc_end0:
	.size	size, .Lfunc_end0-size
	.cfi_endproc

	.type	MESSAGE,@object
	.section	.bss.MESSAGE,"aw",@nobits
	.globl	MESSAGE
	.p2align	3, 0x0
MESSAGE:
	.zero	8
	.size	MESSAGE, 8

	.type	WHOLE,@object
	.section	.bss.WHOLE,"aw",@nobits
	.globl	WHOLE
	.p2align	3, 0x0
WHOLE:
	.zero	8
	.size	WHOLE, 8

	.section	.debug_abbrev,"",@progbits
	.byte	1
	.byte	17
	.byte	1
	.byte	37
	.byte	14
	.byte	19
	.byte	5
	.byte	3
	.byte	14
	.byte	16
	.byte	23
	.byte	27
	.byte	14
	.byte	17
	.byte	1
	.byte	18
	.byte	6
	.byte	0
	.byte	0
	.byte	2
	.byte	57
	.byte	1
	.byte	3
	.byte	14
	.byte	0
	.byte	0
	.byte	3
	.byte	52
	.byte	0
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.byte	63
	.byte	25
	.byte	58
	.byte	11
	.byte	59
	.byte	11
	.ascii	"\210\001"
	.byte	15
	.byte	2
	.byte	24
	.byte	0
	.byte	0
	.byte	4
	.byte	19
	.byte	1
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.byte	50
	.byte	11
	.ascii	"\210\001"
	.byte	15
	.byte	0
	.byte	0
	.byte	5
	.byte	51
	.byte	1
	.byte	21
	.byte	19
	.byte	0
	.byte	0
	.byte	6
	.byte	13
	.byte	0
	.byte	73
	.byte	19
	.ascii	"\210\001"
	.byte	15
	.byte	56
	.byte	11
	.byte	52
	.byte	25
	.byte	0
	.byte	0
	.byte	7
	.byte	25
	.byte	1
	.byte	22
	.byte	11
	.byte	0
	.byte	0
	.byte	8
	.byte	13
	.byte	0
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.ascii	"\210\001"
	.byte	15
	.byte	56
	.byte	11
	.byte	0
	.byte	0
	.byte	9
	.byte	19
	.byte	0
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.byte	50
	.byte	11
	.ascii	"\210\001"
	.byte	15
	.byte	0
	.byte	0
	.byte	10
	.byte	13
	.byte	0
	.byte	3
	.byte	14
	.byte	73
	.byte	19
	.ascii	"\210\001"
	.byte	15
	.byte	56
	.byte	11
	.byte	50
	.byte	11
	.byte	0
	.byte	0
	.byte	11
	.byte	4
	.byte	1
	.byte	73
	.byte	19
	.byte	109
	.byte	25
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.ascii	"\210\001"
	.byte	15
	.byte	0
	.byte	0
	.byte	12
	.byte	40
	.byte	0
	.byte	3
	.byte	14
	.byte	28
	.byte	15
	.byte	0
	.byte	0
	.byte	13
	.byte	23
	.byte	1
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.ascii	"\210\001"
	.byte	15
	.byte	0
	.byte	0
	.byte	14
	.byte	46
	.byte	0
	.byte	17
	.byte	1
	.byte	18
	.byte	6
	.byte	64
	.byte	24
	.byte	3
	.byte	14
	.byte	58
	.byte	11
	.byte	59
	.byte	11
	.byte	73
	.byte	19
	.byte	63
	.byte	25
	.byte	0
	.byte	0
	.byte	15
	.byte	25
	.byte	1
	.byte	0
	.byte	0
	.byte	16
	.byte	47
	.byte	0
	.byte	73
	.byte	19
	.byte	3
	.byte	14
	.byte	0
	.byte	0
	.byte	17
	.byte	36
	.byte	0
	.byte	3
	.byte	14
	.byte	62
	.byte	11
	.byte	11
	.byte	11
	.byte	0
	.byte	0
	.byte	18
	.byte	15
	.byte	0
	.byte	73
	.byte	19
	.byte	3
	.byte	14
	.byte	51
	.byte	6
	.byte	0
	.byte	0
	.byte	19
	.byte	1
	.byte	1
	.byte	73
	.byte	19
	.byte	0
	.byte	0
	.byte	20
	.byte	33
	.byte	0
	.byte	73
	.byte	19
	.byte	34
	.byte	13
	.byte	55
	.byte	11
	.byte	0
	.byte	0
	.byte	21
	.byte	36
	.byte	0
	.byte	3
	.byte	14
	.byte	11
	.byte	11
	.byte	62
	.byte	11
	.byte	0
	.byte	0
	.byte	0
	.section	.debug_info,"",@progbits
.Lcu_begin0:
	.long	.Ldebug_info_end0-.Ldebug_info_start0
.Ldebug_info_start0:
	.short	4
	.long	.debug_abbrev
	.byte	8
	.byte	1
	.long	.Linfo_string0
	.short	28
	.long	.Linfo_string1
	.long	.Lline_table_start0
	.long	.Linfo_string2
	.quad	.Lfunc_begin0
	.long	.Lfunc_end0-.Lfunc_begin0
	.byte	2
	.long	.Linfo_string3
	.byte	3
	.long	.Linfo_string4
	.long	580

	.byte	1
	.byte	12
	.byte	8
	.byte	9
	.byte	3
	.quad	MESSAGE
	.byte	4
	.long	.Linfo_string17
	.byte	16
	.byte	1
	.byte	8
	.byte	5
	.long	82
	.byte	6
	.long	865
	.byte	4
	.byte	0

	.byte	7
	.byte	0
	.byte	8
	.long	.Linfo_string10
	.long	132
	.byte	8
	.byte	0
	.byte	0
	.byte	7
	.byte	1
	.byte	8
	.long	.Linfo_string11
	.long	140
	.byte	8
	.byte	0
	.byte	0
	.byte	7
	.byte	2
	.byte	8
	.long	.Linfo_string15
	.long	173
	.byte	8
	.byte	0
	.byte	0
	.byte	0
	.byte	9
	.long	.Linfo_string10
	.byte	16
	.byte	1
	.byte	8
	.byte	4
	.long	.Linfo_string11
	.byte	16
	.byte	1
	.byte	8
	.byte	10
	.long	.Linfo_string12
	.long	872
	.byte	4
	.byte	4
	.byte	1
	.byte	10
	.long	.Linfo_string14
	.long	872
	.byte	4
	.byte	8
	.byte	1
	.byte	0
	.byte	4
	.long	.Linfo_string15
	.byte	16
	.byte	1
	.byte	8
	.byte	10
	.long	.Linfo_string16
	.long	845
	.byte	8
	.byte	8
	.byte	1
	.byte	0
	.byte	0
	.byte	3
	.long	.Linfo_string22
	.long	677

	.byte	1
	.byte	11
	.byte	8
	.byte	9
	.byte	3
	.quad	WHOLE
	.byte	4
	.long	.Linfo_string63
	.byte	88
	.byte	1
	.byte	8
	.byte	10
	.long	.Linfo_string23
	.long	334
	.byte	8
	.byte	0
	.byte	3
	.byte	10
	.long	.Linfo_string36
	.long	379
	.byte	4
	.byte	24
	.byte	3
	.byte	10
	.long	.Linfo_string42
	.long	424
	.byte	1
	.byte	32
	.byte	3
	.byte	10
	.long	.Linfo_string44
	.long	457
	.byte	8
	.byte	40
	.byte	3
	.byte	10
	.long	.Linfo_string48
	.long	490
	.byte	1
	.byte	56
	.byte	3
	.byte	10
	.long	.Linfo_string52
	.long	514
	.byte	4
	.byte	60
	.byte	3
	.byte	10
	.long	.Linfo_string56
	.long	920
	.byte	1
	.byte	64
	.byte	3
	.byte	10
	.long	.Linfo_string58
	.long	927
	.byte	4
	.byte	68
	.byte	3
	.byte	10
	.long	.Linfo_string60
	.long	934
	.byte	2
	.byte	72
	.byte	3
	.byte	0
	.byte	4
	.long	.Linfo_string35
	.byte	24
	.byte	1
	.byte	8
	.byte	10
	.long	.Linfo_string24
	.long	892
	.byte	1
	.byte	0
	.byte	3
	.byte	10
	.long	.Linfo_string26
	.long	845
	.byte	8
	.byte	8
	.byte	1
	.byte	10
	.long	.Linfo_string27
	.long	785
	.byte	4
	.byte	16
	.byte	3
	.byte	0
	.byte	4
	.long	.Linfo_string41
	.byte	8
	.byte	1
	.byte	4
	.byte	10
	.long	.Linfo_string37
	.long	892
	.byte	1
	.byte	6
	.byte	3
	.byte	10
	.long	.Linfo_string38
	.long	865
	.byte	4
	.byte	0
	.byte	3
	.byte	10
	.long	.Linfo_string39
	.long	899
	.byte	2
	.byte	4
	.byte	3
	.byte	0
	.byte	4
	.long	.Linfo_string43
	.byte	5
	.byte	1
	.byte	1
	.byte	10
	.long	.Linfo_string37
	.long	892
	.byte	1
	.byte	0
	.byte	3
	.byte	10
	.long	.Linfo_string38
	.long	865
	.byte	4
	.byte	1
	.byte	3
	.byte	0
	.byte	4
	.long	.Linfo_string47
	.byte	16
	.byte	1
	.byte	8
	.byte	10
	.long	.Linfo_string16
	.long	899
	.byte	2
	.byte	8
	.byte	3
	.byte	10
	.long	.Linfo_string45
	.long	906
	.byte	8
	.byte	0
	.byte	3
	.byte	0
	.byte	11
	.long	892

	.long	.Linfo_string51
	.byte	1
	.byte	1
	.byte	12
	.long	.Linfo_string49
	.byte	1
	.byte	12
	.long	.Linfo_string50
	.byte	4
	.byte	0
	.byte	13
	.long	.Linfo_string55
	.byte	4
	.byte	4
	.byte	8
	.long	.Linfo_string53
	.long	865
	.byte	4
	.byte	0
	.byte	8
	.long	.Linfo_string32
	.long	913
	.byte	4
	.byte	0
	.byte	0
	.byte	14
	.quad	.Lfunc_begin0
	.long	.Lfunc_end0-.Lfunc_begin0
	.byte	1
	.byte	87
	.long	.Linfo_string66
	.byte	1
	.byte	13
	.long	974

	.byte	0
	.byte	2
	.long	.Linfo_string5
	.byte	2
	.long	.Linfo_string6
	.byte	4
	.long	.Linfo_string21
	.byte	8
	.byte	1
	.byte	8
	.byte	5
	.long	593
	.byte	6
	.long	845
	.byte	8
	.byte	0

	.byte	7
	.byte	0
	.byte	8
	.long	.Linfo_string8
	.long	628
	.byte	8
	.byte	0
	.byte	0
	.byte	15
	.byte	8
	.long	.Linfo_string20
	.long	646
	.byte	8
	.byte	0
	.byte	0
	.byte	0
	.byte	4
	.long	.Linfo_string8
	.byte	8
	.byte	1
	.byte	8
	.byte	16
	.long	852
	.long	.Linfo_string19
	.byte	0
	.byte	4
	.long	.Linfo_string20
	.byte	8
	.byte	1
	.byte	8
	.byte	16
	.long	852
	.long	.Linfo_string19
	.byte	10
	.long	.Linfo_string16
	.long	852
	.byte	8
	.byte	0
	.byte	1
	.byte	0
	.byte	0
	.byte	4
	.long	.Linfo_string65
	.byte	8
	.byte	1
	.byte	8
	.byte	5
	.long	690
	.byte	6
	.long	845
	.byte	8
	.byte	0

	.byte	7
	.byte	0
	.byte	8
	.long	.Linfo_string8
	.long	725
	.byte	8
	.byte	0
	.byte	0
	.byte	15
	.byte	8
	.long	.Linfo_string20
	.long	743
	.byte	8
	.byte	0
	.byte	0
	.byte	0
	.byte	4
	.long	.Linfo_string8
	.byte	8
	.byte	1
	.byte	8
	.byte	16
	.long	879
	.long	.Linfo_string19
	.byte	0
	.byte	4
	.long	.Linfo_string20
	.byte	8
	.byte	1
	.byte	8
	.byte	16
	.long	879
	.long	.Linfo_string19
	.byte	10
	.long	.Linfo_string16
	.long	879
	.byte	8
	.byte	0
	.byte	1
	.byte	0
	.byte	0
	.byte	0
	.byte	2
	.long	.Linfo_string28
	.byte	2
	.long	.Linfo_string29
	.byte	4
	.long	.Linfo_string34
	.byte	4
	.byte	1
	.byte	4
	.byte	10
	.long	.Linfo_string30
	.long	813
	.byte	4
	.byte	0
	.byte	3
	.byte	0
	.byte	0
	.byte	0
	.byte	2
	.long	.Linfo_string31
	.byte	4
	.long	.Linfo_string33
	.byte	4
	.byte	1
	.byte	4
	.byte	16
	.long	865
	.long	.Linfo_string19
	.byte	10
	.long	.Linfo_string32
	.long	865
	.byte	4
	.byte	0
	.byte	3
	.byte	0
	.byte	0
	.byte	0
	.byte	17
	.long	.Linfo_string7
	.byte	7
	.byte	8
	.byte	18
	.long	69
	.long	.Linfo_string18
	.long	0
	.byte	17
	.long	.Linfo_string9
	.byte	7
	.byte	4
	.byte	17
	.long	.Linfo_string13
	.byte	5
	.byte	4
	.byte	18
	.long	217
	.long	.Linfo_string64
	.long	0
	.byte	17
	.long	.Linfo_string25
	.byte	7
	.byte	1
	.byte	17
	.long	.Linfo_string40
	.byte	7
	.byte	2
	.byte	17
	.long	.Linfo_string46
	.byte	5
	.byte	8
	.byte	17
	.long	.Linfo_string54
	.byte	4
	.byte	4
	.byte	17
	.long	.Linfo_string57
	.byte	2
	.byte	1
	.byte	17
	.long	.Linfo_string59
	.byte	16
	.byte	4
	.byte	19
	.long	947
	.byte	20
	.long	967
	.byte	0
	.byte	2
	.byte	0
	.byte	19
	.long	960
	.byte	20
	.long	967
	.byte	0
	.byte	3
	.byte	0
	.byte	17
	.long	.Linfo_string61
	.byte	5
	.byte	2
	.byte	21
	.long	.Linfo_string62
	.byte	8
	.byte	7
	.byte	17
	.long	.Linfo_string67
	.byte	7
	.byte	8
	.byte	0
.Ldebug_info_end0:
	.section	.bss.MESSAGE,"aw",@nobits
.Lsec_end0:
	.section	.bss.WHOLE,"aw",@nobits
.Lsec_end1:
	.section	.text.size,"ax",@progbits
.Lsec_end2:
	.section	.debug_aranges,"",@progbits
	.long	76
	.short	2
	.long	.Lcu_begin0
	.byte	8
	.byte	0
	.zero	4,255
	.quad	MESSAGE
	.quad	.Lsec_end0-MESSAGE
	.quad	WHOLE
	.quad	.Lsec_end1-WHOLE
	.quad	.Lfunc_begin0
	.quad	.Lsec_end2-.Lfunc_begin0
	.quad	0
	.quad	0
	.section	.debug_str,"MS",@progbits,1
.Linfo_string0:
	.asciz	"clang LLVM (rustc version 1.95.0 (59807616e 2026-04-14))"
.Linfo_string1:
	.asciz	"shared.rs/@/shared.39b0ad0d1f6c0f61-cgu.0"
.Linfo_string2:
	.asciz	"/src"
.Linfo_string3:
	.asciz	"shared"
.Linfo_string4:
	.asciz	"MESSAGE"
.Linfo_string5:
	.asciz	"core"
.Linfo_string6:
	.asciz	"option"
.Linfo_string7:
	.asciz	"u64"
.Linfo_string8:
	.asciz	"None"
.Linfo_string9:
	.asciz	"u32"
.Linfo_string10:
	.asciz	"Quit"
.Linfo_string11:
	.asciz	"Move"
.Linfo_string12:
	.asciz	"x"
.Linfo_string13:
	.asciz	"i32"
.Linfo_string14:
	.asciz	"y"
.Linfo_string15:
	.asciz	"Text"
.Linfo_string16:
	.asciz	"__0"
.Linfo_string17:
	.asciz	"Message"
.Linfo_string18:
	.asciz	"&shared::Message"
.Linfo_string19:
	.asciz	"T"
.Linfo_string20:
	.asciz	"Some"
.Linfo_string21:
	.asciz	"Option<&shared::Message>"
.Linfo_string22:
	.asciz	"WHOLE"
.Linfo_string23:
	.asciz	"order"
.Linfo_string24:
	.asciz	"tag"
.Linfo_string25:
	.asciz	"u8"
.Linfo_string26:
	.asciz	"wide"
.Linfo_string27:
	.asciz	"ready"
.Linfo_string28:
	.asciz	"sync"
.Linfo_string29:
	.asciz	"atomic"
.Linfo_string30:
	.asciz	"v"
.Linfo_string31:
	.asciz	"cell"
.Linfo_string32:
	.asciz	"value"
.Linfo_string33:
	.asciz	"UnsafeCell<u32>"
.Linfo_string34:
	.asciz	"AtomicU32"
.Linfo_string35:
	.asciz	"InOrder"
.Linfo_string36:
	.asciz	"loose"
.Linfo_string37:
	.asciz	"a"
.Linfo_string38:
	.asciz	"b"
.Linfo_string39:
	.asciz	"c"
.Linfo_string40:
	.asciz	"u16"
.Linfo_string41:
	.asciz	"Reordered"
.Linfo_string42:
	.asciz	"packed"
.Linfo_string43:
	.asciz	"Packed"
.Linfo_string44:
	.asciz	"pair"
.Linfo_string45:
	.asciz	"__1"
.Linfo_string46:
	.asciz	"i64"
.Linfo_string47:
	.asciz	"Pair"
.Linfo_string48:
	.asciz	"colour"
.Linfo_string49:
	.asciz	"Red"
.Linfo_string50:
	.asciz	"Blue"
.Linfo_string51:
	.asciz	"Colour"
.Linfo_string52:
	.asciz	"either"
.Linfo_string53:
	.asciz	"bits"
.Linfo_string54:
	.asciz	"f32"
.Linfo_string55:
	.asciz	"Either"
.Linfo_string56:
	.asciz	"ok"
.Linfo_string57:
	.asciz	"bool"
.Linfo_string58:
	.asciz	"letter"
.Linfo_string59:
	.asciz	"char"
.Linfo_string60:
	.asciz	"grid"
.Linfo_string61:
	.asciz	"i16"
.Linfo_string62:
	.asciz	"__ARRAY_SIZE_TYPE__"
.Linfo_string63:
	.asciz	"Whole"
.Linfo_string64:
	.asciz	"&shared::Whole"
.Linfo_string65:
	.asciz	"Option<&shared::Whole>"
.Linfo_string66:
	.asciz	"size"
.Linfo_string67:
	.asciz	"usize"
	.ident	"rustc version 1.95.0 (59807616e 2026-04-14)"
	.section	".note.GNU-stack","",@progbits
	.section	.debug_line,"",@progbits
.Lline_table_start0:
