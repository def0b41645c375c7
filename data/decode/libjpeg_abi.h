// The part of libjpeg's binary interface that decoding needs, declared here so
// that no header of the library has to be installed. The layout follows the
// Independent JPEG Group's jpeglib.h for the two interface versions that
// libjpeg-turbo is built with: 62 (Debian, Fedora) and 80 (Ubuntu, Arch). The
// library itself checks the version and the size of the structure when one is
// created, so a mismatch is an error and nothing worse.
//
// Included once for each version, with ABI defined.

#define NAME2(name, abi) name##_##abi
#define NAME1(name, abi) NAME2(name, abi)
#define NAME(name) NAME1(name, ABI)

struct NAME(decompress);

struct NAME(error_mgr) {
	void (*error_exit)(struct NAME(decompress) *);
	void (*emit_message)(struct NAME(decompress) *, int level);
	void (*output_message)(struct NAME(decompress) *);
	void (*format_message)(struct NAME(decompress) *, char *buffer);
	void (*reset_error_mgr)(struct NAME(decompress) *);
	int msg_code;
	union {
		int i[8];
		char s[80];
	} msg_parm;
	int trace_level;
	long num_warnings;
	const char *const *message_table;
	int last_message;
	const char *const *addon_table;
	int first_addon, last_addon;
};

struct NAME(source_mgr) {
	const uint8_t *next_input_byte;
	size_t bytes_in_buffer;
	void (*init_source)(struct NAME(decompress) *);
	int (*fill_input_buffer)(struct NAME(decompress) *);
	void (*skip_input_data)(struct NAME(decompress) *, long n);
	int (*resync_to_restart)(struct NAME(decompress) *, int desired);
	void (*term_source)(struct NAME(decompress) *);
};

struct NAME(decompress) {
	struct NAME(error_mgr) *err;
	void *mem, *progress, *client_data;
	int is_decompressor, global_state;
	struct NAME(source_mgr) *src;
	unsigned image_width, image_height;
	int num_components, jpeg_color_space, out_color_space;
	unsigned scale_num, scale_denom;
	double output_gamma;
	int buffered_image, raw_data_out, dct_method, do_fancy_upsampling, do_block_smoothing;
	int quantize_colors, dither_mode, two_pass_quantize, desired_number_of_colors;
	int enable_1pass_quant, enable_external_quant, enable_2pass_quant;
	unsigned output_width, output_height;
	int out_color_components, output_components, rec_outbuf_height, actual_number_of_colors;
	void *colormap;
	unsigned output_scanline;
	int input_scan_number;
	unsigned input_imcu_row;
	int output_scan_number;
	unsigned output_imcu_row;
	void *coef_bits, *quant_tables[4], *dc_tables[4], *ac_tables[4];
	int data_precision;
	void *comp_info;
#if ABI >= 80
	int is_baseline;
#endif
	int progressive_mode, arith_code;
	uint8_t arith_dc_l[16], arith_dc_u[16], arith_ac_k[16];
	unsigned restart_interval;
	int saw_jfif;
	uint8_t jfif_major, jfif_minor, density_unit;
	uint16_t x_density, y_density;
	int saw_adobe;
	uint8_t adobe_transform;
	int ccir601_sampling;
	void *marker_list;
	int max_h_samp_factor, max_v_samp_factor;
#if ABI >= 70
	int min_dct_h_scaled_size, min_dct_v_scaled_size;
#else
	int min_dct_scaled_size;
#endif
	unsigned total_imcu_rows;
	void *sample_range_limit;
	int comps_in_scan;
	void *cur_comp_info[4];
	unsigned mcus_per_row, mcu_rows_in_scan;
	int blocks_in_mcu, mcu_membership[10];
	int ss, se, ah, al;
#if ABI >= 80
	int block_size;
	const int *natural_order;
	int lim_se;
#endif
	int unread_marker;
	void *master, *main, *coef, *post, *inputctl, *marker, *entropy, *idct, *upsample, *cconvert, *cquantize;
};

// What a decoder keeps beside the library's structure, which comes first so
// that a pointer to it is a pointer to this.
struct NAME(decoder) {
	struct NAME(decompress) c;
	struct NAME(error_mgr) err;
	struct NAME(source_mgr) src;
	jmp_buf escape;
	int truncated;
	char message[256];
};

static void NAME(fail)(struct NAME(decompress) *c) {
	struct NAME(decoder) *d = (struct NAME(decoder) *)c;
	d->err.format_message(c, d->message);
	longjmp(d->escape, 1);
}

// A warning is an error when it means that pixels are lost. Bytes too many
// between two markers are common in real files and harmless.
static void NAME(warn)(struct NAME(decompress) *c, int level) {
	struct NAME(decoder) *d = (struct NAME(decoder) *)c;
	if (level >= 0) return;
	d->err.format_message(c, d->message);
	if (strstr(d->message, "Corrupt JPEG data") && !strstr(d->message, "extraneous") && !strstr(d->message, "ICC"))
		longjmp(d->escape, 1);
}

static void NAME(quiet)(struct NAME(decompress) *c) { (void)c; }

// The whole file is in memory: asking for more means that it ends too early.
static int NAME(more)(struct NAME(decompress) *c) {
	struct NAME(decoder) *d = (struct NAME(decoder) *)c;
	d->truncated = 1;
	strcpy(d->message, "the file ends in the middle of the image");
	longjmp(d->escape, 1);
}

static void NAME(skip)(struct NAME(decompress) *c, long n) {
	if (n <= 0) return;
	if ((size_t)n > c->src->bytes_in_buffer) NAME(more)(c);
	c->src->next_input_byte += n;
	c->src->bytes_in_buffer -= n;
}

// Decodes the window (x, y, w, h) of the image at 1/denominator of its size.
// width and height are the stored image's, which the library has to find as
// well. Returns NULL or a message to free.
static char *NAME(decode)(const struct ortrain_libjpeg *lib, const uint8_t *file, size_t size,
	int width, int height, int channels, int denominator, int x, int y, int w, int h, uint8_t *out) {
	struct NAME(decoder) d;
	struct NAME(decompress) *c = &d.c;
	uint8_t *volatile row = NULL;
	char *volatile message = NULL;
	memset(&d, 0, sizeof d);
	c->err = lib->std_error(&d.err);
	d.err.error_exit = NAME(fail);
	d.err.emit_message = NAME(warn);
	d.err.output_message = NAME(quiet);
	if (setjmp(d.escape)) {
		message = strdup(d.message);
		goto done;
	}
	lib->create(c, ABI, sizeof *c);
	d.src = (struct NAME(source_mgr)){file, size, NAME(quiet), NAME(more), NAME(skip), lib->resync, NAME(quiet)};
	c->src = &d.src;
	lib->read_header(c, 1);
	if ((int)c->image_width != width || (int)c->image_height != height) {
		message = strdup("the header gives two sizes");
		goto done;
	}
	c->scale_num = 1;
	c->scale_denom = denominator;
	c->out_color_space = channels == 1 ? 1 : channels == 3 ? 2 : 4; // JCS_GRAYSCALE, JCS_RGB, JCS_CMYK
	c->dct_method = 0;                                              // JDCT_ISLOW
	lib->start(c);
	if (c->output_components != channels || x + w > (int)c->output_width || y + h > (int)c->output_height) {
		message = strdup("unexpected size after scaling");
		goto done;
	}
	// The upsampling of colours looks at neighbours, which a cut takes away:
	// so a few columns more than asked for are decoded.
	enum { margin = 16 };
	unsigned from = 0, wide = c->output_width;
	if (wide > 8 * margin && w + 4 * margin < (int)wide) {
		from = x > margin ? x - margin : 0;
		wide = (x + w + margin < (int)wide ? x + w + margin : wide) - from;
		lib->crop(c, &from, &wide);
	}
	if ((unsigned)w < wide) {
		row = malloc((size_t)c->output_width * channels);
		if (!row) {
			message = strdup("out of memory");
			goto done;
		}
	}
	if (y > 0) lib->skip(c, y);
	for (int i = 0; i < h; i++) {
		uint8_t *line = out + (size_t)i * w * channels, *to = row ? row : line;
		if (lib->read(c, &to, 1) != 1) {
			message = strdup("the image ends too early");
			goto done;
		}
		if (row) memcpy(line, row + (size_t)(x - from) * channels, (size_t)w * channels);
	}
	// What comes below the window is not decoded, but a file without an end
	// is truncated whichever part of it is asked for.
	if (c->output_scanline < c->output_height && !c->progressive_mode && c->unread_marker != 0xd9) {
		const uint8_t *p = d.src.next_input_byte, *end = p + d.src.bytes_in_buffer;
		while (p && p + 1 < end && p[1] != 0xd9) p = memchr(p + 1, 0xff, end - p - 1);
		if (!p || p + 1 >= end) message = strdup("the file ends in the middle of the image");
	}
done:
	lib->destroy(c);
	free(row);
	return message;
}

#undef NAME
#undef NAME1
#undef NAME2
#undef ABI
