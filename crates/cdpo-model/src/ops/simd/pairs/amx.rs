//! The kernel of [`super`] by AMX: tiles of sixteen rows by sixteen columns, sixteen pairs a step.

use std::arch::asm;
use std::sync::OnceLock;

use super::{COLUMNS, Pairs, STEP};

/// Rows, and columns, of a tile.
const TILE: usize = 16;

/// Whether this machine has the instructions and the system lets this process use them.
pub(super) fn is_here() -> bool {
    // As the standard library keeps what it finds out about the processor.
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| has_instructions() && is_permitted())
}

fn has_instructions() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    const OSXSAVE: u32 = 1 << 27;
    const AMX: u32 = 1 << 22 | 1 << 24;
    const TILE_STATE: u32 = 0b11 << 17;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 || __cpuid_count(7, 0).edx & AMX != AMX {
        return false;
    }
    let enabled: u32;
    // SAFETY: OSXSAVE says that the instruction is there; it reads a register.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _, options(nomem, nostack, preserves_flags));
    }
    enabled & TILE_STATE == TILE_STATE
}

/// Asks the system for the tiles, which every process must once.
fn is_permitted() -> bool {
    #[cfg(target_os = "linux")]
    {
        const ARCH_PRCTL: u64 = 158;
        const REQUEST_PERMISSION: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let result: i64;
        // SAFETY: a system call that reads its two numbers and writes no memory of ours.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") REQUEST_PERMISSION,
                in("rsi") TILE_DATA,
                out("rcx") _,
                out("r11") _,
                options(nostack),
            );
        }
        result == 0
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}

/// See [`super::product`], which measured the slices.
pub(super) fn product(
    left: Pairs<'_>,
    rows: usize,
    tiles: &[u32],
    count: usize,
    out: &mut [f32],
    width: usize,
    add: bool,
) {
    assert!(is_here(), "AMX was asked for where it is not");
    let tiles = tiles.chunks_exact(count * COLUMNS);
    for (first, tile) in (0..width).step_by(COLUMNS).zip(tiles) {
        for from in (0..rows).step_by(2 * TILE) {
            let block = Block {
                a: left.skip(from, 0).values.as_ptr(),
                stride: left.stride * size_of::<u32>(),
                rows: (2 * TILE).min(rows - from),
                b: tile.as_ptr(),
                columns: COLUMNS.min(width - first),
                c: out[from * width + first..].as_mut_ptr(),
                width,
                steps: count / STEP,
            };
            // SAFETY: rows, tile and room were measured, and the machine has the instructions.
            unsafe { block.run(add) };
        }
    }
}

/// At most two tiles of rows by two of columns.
struct Block {
    a: *const u32,
    stride: usize,
    rows: usize,
    b: *const u32,
    columns: usize,
    c: *mut f32,
    width: usize,
    steps: usize,
}

/// The shapes of the tiles, as the processor takes them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    column_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Block {
    /// Sums are in tiles 0 to 3, row by row; two tiles of rows in 4 and 5, two of columns in 6 and 7.
    fn shapes(&self) -> Shapes {
        let split = |n: usize| [n.min(TILE), n.saturating_sub(TILE)];
        let (rows, columns) = (split(self.rows), split(self.columns));
        let mut shapes = Shapes {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            column_bytes: [0; 16],
            rows: [0; 16],
        };
        let mut set = |tile: usize, rows: usize, columns: usize| {
            if rows > 0 && columns > 0 {
                shapes.rows[tile] = rows as u8;
                shapes.column_bytes[tile] = 4 * columns as u16;
            }
        };
        for (i, &rows) in rows.iter().enumerate() {
            set(4 + i, rows, STEP);
            for (j, &columns) in columns.iter().enumerate() {
                set(2 * i + j, rows, columns);
            }
        }
        for (j, &columns) in columns.iter().enumerate() {
            set(6 + j, STEP, columns);
        }
        shapes
    }

    /// # Safety
    /// All rows and columns are there, and the machine has the instructions.
    unsafe fn run(self, add: bool) {
        let shapes = self.shapes();
        let c_stride = self.width * size_of::<f32>();
        let second_rows = TILE * self.stride;
        let second_c = TILE * c_stride;
        let two = [self.rows > TILE, self.columns > TILE];
        // One block of instructions for each of the four counts of tiles: a tile without a shape must not be touched.
        macro_rules! tiles {
            ($load:expr, $step:expr, $store:expr) => {
                asm!(
                    "# {c1}",
                    "ldtilecfg [{shapes}]",
                    "test {add}, {add}",
                    "jz 3f",
                    $load,
                    "3:",
                    "2:",
                    "tileloadd tmm4, [{a} + {a_stride}]",
                    "tileloadd tmm6, [{b} + {b_stride}]",
                    $step,
                    "add {a}, 64",
                    "add {a1}, 64",
                    "add {b}, 2048",
                    "dec {steps}",
                    "jnz 2b",
                    $store,
                    "tilerelease",
                    shapes = in(reg) &raw const shapes,
                    add = in(reg) usize::from(add),
                    a = inout(reg) self.a => _,
                    a1 = inout(reg) self.a.wrapping_byte_add(second_rows) => _,
                    a_stride = in(reg) self.stride,
                    b = inout(reg) self.b => _,
                    b_stride = in(reg) COLUMNS * size_of::<u32>(),
                    c = in(reg) self.c,
                    c1 = in(reg) self.c.wrapping_byte_add(second_c),
                    c_stride = in(reg) c_stride,
                    steps = inout(reg) self.steps => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                )
            };
        }
        // SAFETY: the caller's duty; `shapes` says how much each instruction reads and writes.
        unsafe {
            match two {
                [false, false] => tiles!(
                    "tileloadd tmm0, [{c} + {c_stride}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tilestored [{c} + {c_stride}], tmm0"
                ),
                [false, true] => tiles!(
                    "tileloadd tmm0, [{c} + {c_stride}]
                     tileloadd tmm1, [{c} + {c_stride} + 64]",
                    "tileloadd tmm7, [{b} + {b_stride} + 64]
                     tdpbf16ps tmm0, tmm4, tmm6
                     tdpbf16ps tmm1, tmm4, tmm7",
                    "tilestored [{c} + {c_stride}], tmm0
                     tilestored [{c} + {c_stride} + 64], tmm1"
                ),
                [true, false] => tiles!(
                    "tileloadd tmm0, [{c} + {c_stride}]
                     tileloadd tmm2, [{c1} + {c_stride}]",
                    "tileloadd tmm5, [{a1} + {a_stride}]
                     tdpbf16ps tmm0, tmm4, tmm6
                     tdpbf16ps tmm2, tmm5, tmm6",
                    "tilestored [{c} + {c_stride}], tmm0
                     tilestored [{c1} + {c_stride}], tmm2"
                ),
                [true, true] => tiles!(
                    "tileloadd tmm0, [{c} + {c_stride}]
                     tileloadd tmm1, [{c} + {c_stride} + 64]
                     tileloadd tmm2, [{c1} + {c_stride}]
                     tileloadd tmm3, [{c1} + {c_stride} + 64]",
                    "tileloadd tmm7, [{b} + {b_stride} + 64]
                     tdpbf16ps tmm0, tmm4, tmm6
                     tileloadd tmm5, [{a1} + {a_stride}]
                     tdpbf16ps tmm1, tmm4, tmm7
                     tdpbf16ps tmm2, tmm5, tmm6
                     tdpbf16ps tmm3, tmm5, tmm7",
                    "tilestored [{c} + {c_stride}], tmm0
                     tilestored [{c} + {c_stride} + 64], tmm1
                     tilestored [{c1} + {c_stride}], tmm2
                     tilestored [{c1} + {c_stride} + 64], tmm3"
                ),
            }
        }
    }
}
