// SPDX-License-Identifier: GPL-2.0
/* Names of numbers, and charts. */
#include <string.h>
#include "model.h"

enum {
	COLUMN	= 22,	/* a node's */
	LINE	= 4 + MODEL_NODES * COLUMN + 1,
};

static const char *const line_names[DSM_LINE_STATES] = {
	"I", "S", "M", "IS", "IM", "SM", "MS_R", "MI_R", "SI_R", "SMI_R", "II_R",
};

static const char *const dir_names[DSM_DIR_STATES] = { "ZERO", "S", "M" };

static const char *const msg_names[] = {
	[DSM_GET_S] = "GET_S", [DSM_GET_M] = "GET_M", [DSM_PUT_S] = "PUT_S",
	[DSM_PUT_M] = "PUT_M", [DSM_FWD_GET_S] = "FWD_GET_S", [DSM_FWD_GET_M] = "FWD_GET_M",
	[DSM_INV] = "INV", [DSM_INV_ACK] = "INV_ACK", [DSM_DATA] = "DATA",
	[DSM_GRANT] = "GRANT", [DSM_DONE] = "DONE", [DSM_DISCARD] = "DISCARD",
	[DSM_DISCARDED] = "DISCARDED", [DSM_LOST] = "LOST",
};

static const char *const step_names[STEP_TYPES] = {
	"read", "write", "prefetch, read", "prefetch, write", "evict", "free",
	"discard", "lose", "used", "deliver", "REVOKED", "HOLD_OVER", "pull",
};

static const char *name(const char *const *names, unsigned int n, unsigned int i)
{
	return i < n && names[i] ? names[i] : "?";
}

const char *model_line_name(u8 state)
{
	return name(line_names, DSM_LINE_STATES, state);
}

const char *model_dir_name(u8 state)
{
	return name(dir_names, DSM_DIR_STATES, state);
}

const char *model_msg_name(u8 type)
{
	return name(msg_names, sizeof(msg_names) / sizeof(msg_names[0]), type);
}

static void print_copy(const struct model_copy *copy, unsigned int n, FILE *out)
{
	static const char *const access[] = { "nothing", "read", "write" };
	const struct dsm_line *line = &copy->line;

	fprintf(out, "    n%u %s", n, model_line_name(line->state));
	if (dsm_line_outstanding(line))
		fprintf(out, " #%u, %u acks", line->req, line->acks);
	if (line->have)
		fprintf(out, " of %u", line->acks_due);
	fprintf(out, "; threads %s%s%s%s%s", access[copy->pte], line->held ? ", held" : "",
		line->demand ? ", demand" : "", copy->fresh ? ", fresh" : "",
		line->lost ? ", lost" : "");
	if (copy->owed.type)
		fprintf(out, "; owes node %u an answer to %s #%u", copy->owed.node,
			model_msg_name(copy->owed.type), copy->owed.req);
	fprintf(out, "%s%s%s\n", line->discards ? "; discards" : "", copy->hold ? "; holds" : "", copy->revoke ? "; revokes" : "");
}

void model_print(const struct model *m, FILE *out)
{
	unsigned int b, n, i;

	for (b = 0; b < m->blocks; b++) {
		const struct model_block *block = &m->block[b];

		fprintf(out, "  block %u, home n%u: %s, owner n%u, sharers %llx", b, block->home,
			model_dir_name(block->dir.state), block->dir.owner,
			(unsigned long long)block->sharers);
		if (block->dir.busy)
			fprintf(out, ", serves %s #%u of n%u", model_msg_name(block->dir.busy),
				block->dir.req, block->dir.requester);
		fprintf(out, "%s\n", block->pull ? ", is to take it" : "");
		for (n = 0; n < m->nodes; n++)
			print_copy(&block->copy[n], n, out);
		for (i = 0; i < block->n_waiting; i++)
			fprintf(out, "    %s #%u of n%u waits\n",
				model_msg_name(block->waiting[i].type), block->waiting[i].req,
				block->waiting[i].from);
	}
	for (i = 0; i < m->n_flight; i++) {
		const struct dsm_coh_msg *msg = &m->flight[i].coh;

		fprintf(out, "  under way, block %u: n%u -> n%u %s #%u node %u flags %x acks %u%s\n",
			m->flight[i].block, msg->from, msg->to, model_msg_name(msg->type),
			msg->req, msg->node, msg->flags, msg->acks,
			m->flight[i].fresh ? " fresh" : "");
	}
}

static unsigned int centre(unsigned int node)
{
	return 4 + node * COLUMN + COLUMN / 2;
}

void model_chart_head(const struct model *m, FILE *out)
{
	unsigned int n;

	fprintf(out, "    ");
	for (n = 0; n < m->nodes; n++)
		fprintf(out, "%*s%u%*s", COLUMN / 2, "n", n, COLUMN / 2 - 1, "");
	fputc('\n', out);
}

/* From one lifeline to another, with the label in the middle. */
static void arrow(char *line, unsigned int from, unsigned int to, const char *label)
{
	unsigned int left = centre(from < to ? from : to) + 1;
	unsigned int right = centre(from < to ? to : from) - 1;
	unsigned int length = strlen(label);

	memset(line + left, '-', right - left + 1);
	memcpy(line + left + (right - left + 1 - length) / 2, label, length);
	if (from < to)
		line[right] = '>';
	else
		line[left] = '<';
}

void model_chart_step(const struct model *m, unsigned int number, const struct model_step *step,
		      FILE *out)
{
	char line[LINE + 1], label[COLUMN];
	unsigned int n;

	memset(line, ' ', LINE);
	line[4 + m->nodes * COLUMN] = '\0';
	snprintf(label, sizeof(label), "%3u", number);
	memcpy(line, label, 3);
	for (n = 0; n < m->nodes; n++)
		line[centre(n)] = '|';
	if (step->type == STEP_DELIVER) {
		const struct dsm_coh_msg *msg = &m->flight[step->msg].coh;

		snprintf(label, sizeof(label), m->blocks > 1 ? "%s #%u b%u" : "%s #%u",
			 model_msg_name(msg->type), msg->req, step->block);
		if (msg->from != msg->to) {
			arrow(line, msg->from, msg->to, label);
			fputs(line, out);
			return;
		}
	} else {
		snprintf(label, sizeof(label), m->blocks > 1 ? "%s b%u" : "%s",
			 step_names[step->type], step->block);
	}
	/* A node's own step starts at its lifeline. */
	n = strlen(label);
	line[centre(step->node)] = step->type == STEP_DELIVER ? '@' : '*';
	if (n > COLUMN - 3)
		n = COLUMN - 3;
	memcpy(line + centre(step->node) + 2, label,
	       centre(step->node) + 2 + n <= strlen(line) ? n : strlen(line) - centre(step->node) - 2);
	fputs(line, out);
}
