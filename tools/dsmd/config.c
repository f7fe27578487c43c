// SPDX-License-Identifier: GPL-2.0
/*
 * The configuration: a file of "key = value" lines, then the command line,
 * which has the last word. Every complaint names what was wrong, where, and
 * what would be right.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "log.h"

#define CONFIG_LISTEN_DEFAULT	"[::]:7376"	/* and every IPv4 address */
#define CONFIG_LISTEN_NO_IPV6	"0.0.0.0:7376"
#define CONFIG_HEARTBEAT_MS	100
#define CONFIG_LOST_MS		1000
#define CONFIG_MS_MIN		10
#define CONFIG_MS_MAX		60000
#define CONFIG_LINE_MAX		1024
#define CONFIG_RECORDS_MIN	64	/* a link has to come up with one key */
#define CONFIG_RECORDS_MAX	(1L << 24)

/* Where a setting comes from, for complaints. @line is 0 for an option. */
struct config_place {
	const char *file;
	int line;
};

struct config_key {
	const char *name;
	const char *form;
	bool (*set)(struct config *config, const struct config_place *place,
		    const char *value);
};

static bool complain(const struct config_place *place, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool complain(const struct config_place *place, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	if (place && place->line)
		log_error("%s:%d: %s", place->file, place->line, text);
	else
		log_error("%s", text);
	return false;
}

/* The whole of @text, in decimal, @max at most; -1 if it is not that. */
static long number_parse(const char *text, long max)
{
	char *end;
	long n;

	if (!isdigit((unsigned char)*text))
		return -1;
	errno = 0;
	n = strtol(text, &end, 10);
	return errno || *end || n > max ? -1 : n;
}

/*
 * Splits HOST:PORT or [HOST]:PORT, in place. An IPv6 address without brackets
 * is refused: its last group would be taken for the port.
 */
static bool address_split(char *text, char **host, char **port)
{
	char *colon = strrchr(text, ':');

	if (!colon || number_parse(colon + 1, 65535) < 1)
		return false;
	*colon = '\0';
	*port = colon + 1;
	*host = text;
	if (*text == '[') {
		if (colon[-1] != ']')
			return false;
		colon[-1] = '\0';
		*host = text + 1;
		return true;
	}
	return !strchr(text, ':');
}

static bool address_set(struct config_address *address, const struct config_place *place,
			const char *what, const char *value)
{
	char *copy = strdup(value);
	char *host, *port;
	bool ok;

	if (!copy)
		return complain(place, "%s: %m", what);
	ok = address_split(copy, &host, &port);
	free(copy);
	if (!ok)
		return complain(place,
				"%s: '%s' is not HOST:PORT (10.0.0.1:7376, [fd00::1]:7376, name:7376)",
				what, value);

	free(address->text);
	address->text = strdup(value);
	return address->text || complain(place, "%s: %m", what);
}

static bool address_resolve(struct config_address *address, const char *what, bool passive)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0),
	};
	char *copy = strdup(address->text);
	struct addrinfo *found;
	char *host, *port;
	int err;

	if (!copy || !address_split(copy, &host, &port)) {
		free(copy);
		return complain(NULL, "%s: '%s' is not HOST:PORT", what, address->text);
	}
	err = getaddrinfo(*host ? host : NULL, port, &hints, &found);
	free(copy);
	if (err)
		return complain(NULL, "%s: %s: %s", what, address->text,
				err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));

	memcpy(&address->addr, found->ai_addr, found->ai_addrlen);
	address->addr_len = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

static bool set_node(struct config *config, const struct config_place *place, const char *value)
{
	long node = number_parse(value, DSM_NODES_MAX - 1);

	if (node < 0)
		return complain(place, "node: '%s' is not a node id, 0 to %d", value,
				DSM_NODES_MAX - 1);
	config->node = (int)node;
	return true;
}

static bool set_listen(struct config *config, const struct config_place *place, const char *value)
{
	return address_set(&config->listen, place, "listen", value);
}

/* @separator: '=' on the command line, ' ' in the file. */
static bool peer_set(struct config *config, const struct config_place *place,
		     const char *value, char separator)
{
	size_t len = strcspn(value, separator == '=' ? "=" : " \t");
	char id_text[16];
	char what[32];
	long id = -1;

	if (len < sizeof(id_text) && value[len]) {
		memcpy(id_text, value, len);
		id_text[len] = '\0';
		id = number_parse(id_text, DSM_NODES_MAX - 1);
	}
	if (id < 0)
		return complain(place, "peer: '%s' is not ID%cHOST:PORT, with ID from 0 to %d",
				value, separator, DSM_NODES_MAX - 1);

	value += len + 1;
	value += strspn(value, " \t");
	snprintf(what, sizeof(what), "peer %ld", id);
	return address_set(&config->peers[id], place, what, value);
}

static bool set_peer(struct config *config, const struct config_place *place, const char *value)
{
	return peer_set(config, place, value, place->line ? ' ' : '=');
}

static bool ms_set(unsigned int *ms, const struct config_place *place, const char *what,
		   const char *value)
{
	long n = number_parse(value, CONFIG_MS_MAX);

	if (n < CONFIG_MS_MIN)
		return complain(place, "%s: '%s' is not a number of milliseconds, %d to %d",
				what, value, CONFIG_MS_MIN, CONFIG_MS_MAX);
	*ms = (unsigned int)n;
	return true;
}

static bool set_heartbeat_ms(struct config *config, const struct config_place *place,
			     const char *value)
{
	return ms_set(&config->heartbeat_ms, place, "heartbeat_ms", value);
}

static bool set_lost_ms(struct config *config, const struct config_place *place,
			const char *value)
{
	return ms_set(&config->lost_ms, place, "lost_ms", value);
}

static bool set_log_level(struct config *config, const struct config_place *place,
			  const char *value)
{
	int level = log_level_parse(value);

	if (level < 0)
		return complain(place, "log_level: '%s' is none of error, warning, info, debug",
				value);
	config->log_level = level;
	return true;
}

static bool path_set(char **path, const struct config_place *place, const char *what,
		     const char *value)
{
	if (!*value)
		return complain(place, "%s: the name of a file is missing", what);
	free(*path);
	*path = strdup(value);
	return *path || complain(place, "%s: %m", what);
}

static bool set_key(struct config *config, const struct config_place *place, const char *value)
{
	return path_set(&config->key, place, "key", value);
}

static bool set_certificate(struct config *config, const struct config_place *place,
			    const char *value)
{
	return path_set(&config->certificate, place, "certificate", value);
}

static bool set_private_key(struct config *config, const struct config_place *place,
			    const char *value)
{
	return path_set(&config->private_key, place, "private-key", value);
}

static bool set_authority(struct config *config, const struct config_place *place,
			  const char *value)
{
	return path_set(&config->authority, place, "authority", value);
}

static bool set_revoked(struct config *config, const struct config_place *place, const char *value)
{
	return path_set(&config->revoked, place, "revoked", value);
}

/* As an option, it has no value. */
static bool set_insecure(struct config *config, const struct config_place *place, const char *value)
{
	config->insecure = !value || !strcmp(value, "yes");
	if (!config->insecure && strcmp(value, "no"))
		return complain(place, "insecure: '%s' is neither yes nor no", value);
	return true;
}

static bool set_record_limit(struct config *config, const struct config_place *place,
			     const char *value)
{
	long n = number_parse(value, CONFIG_RECORDS_MAX);

	if (n < CONFIG_RECORDS_MIN)
		return complain(place, "record_limit: '%s' is not a number of records, %d to %ld",
				value, CONFIG_RECORDS_MIN, CONFIG_RECORDS_MAX);
	config->record_limit = (uint64_t)n;
	return true;
}

static const struct config_key config_keys[] = {
	{ "node",		"ID",		set_node },
	{ "listen",		"HOST:PORT",	set_listen },
	{ "peer",		"ID HOST:PORT",	set_peer },
	{ "heartbeat_ms",	"MS",		set_heartbeat_ms },
	{ "lost_ms",		"MS",		set_lost_ms },
	{ "log_level",		"LEVEL",	set_log_level },
	{ "key",		"FILE",		set_key },
	{ "certificate",	"FILE",		set_certificate },
	{ "private-key",	"FILE",		set_private_key },
	{ "authority",		"FILE",		set_authority },
	{ "revoked",		"FILE",		set_revoked },
	{ "insecure",		"yes|no",	set_insecure },
	{ "record_limit",	"RECORDS",	set_record_limit },
};

#define CONFIG_KEYS	(sizeof(config_keys) / sizeof(config_keys[0]))

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static bool line_read(struct config *config, const struct config_place *place, char *line)
{
	char *equals, *key, *value;

	line[strcspn(line, "#\n")] = '\0';
	line = trim(line);
	if (!*line)
		return true;

	equals = strchr(line, '=');
	if (!equals)
		return complain(place, "'%s' is not 'key = value'", line);
	*equals = '\0';
	key = trim(line);
	value = trim(equals + 1);

	for (size_t i = 0; i < CONFIG_KEYS; i++)
		if (!strcmp(config_keys[i].name, key))
			return config_keys[i].set(config, place, value);
	return complain(place,
			"'%s' is none of node, listen, peer, heartbeat_ms, lost_ms, log_level, key, certificate, private-key, authority, revoked, insecure, record_limit",
			key);
}

static bool file_read(struct config *config, const char *path)
{
	struct config_place place = { .file = path };
	char line[CONFIG_LINE_MAX];
	FILE *file = fopen(path, "re");
	bool ok = true;

	if (!file)
		return complain(NULL, "%s: %m", path);
	while (ok && fgets(line, sizeof(line), file)) {
		place.line++;
		if (!strchr(line, '\n') && !feof(file))
			ok = complain(&place, "a line of more than %d bytes", CONFIG_LINE_MAX - 2);
		else
			ok = line_read(config, &place, line);
	}
	if (ok && ferror(file))
		ok = complain(NULL, "%s: %m", path);
	fclose(file);
	return ok;
}

static void usage(void)
{
	printf("usage: dsmd --node ID [--listen HOST:PORT] [--peer ID=HOST:PORT]...\n"
	       "            [--key FILE | --insecure]\n"
	       "            [--config FILE] [--log-level error|warning|info|debug]\n"
	       "\n"
	       "Carries the messages of the dsm module between this node and its peers.\n"
	       "\n"
	       "  --node ID              this node's id, from 0\n"
	       "  --listen HOST:PORT     where peers connect to (default %s)\n"
	       "  --peer ID=HOST:PORT    a peer and where it listens; once for each\n"
	       "  --key FILE             the cluster's key, the same for all nodes\n"
	       "  --insecure             neither encryption nor authentication: whoever reaches\n"
	       "                         the port can read and write the shared memory\n"
	       "  --config FILE          read settings from FILE, before the other options\n"
	       "  --log-level LEVEL      the least important messages shown (default info)\n"
	       "  --help                 this\n"
	       "  --version              the version\n"
	       "\n"
	       "Node ids are 0 to the number of peers, each used once. See dsmd(8).\n",
	       CONFIG_LISTEN_DEFAULT);
}

enum { OPTION_CONFIG = 256, OPTION_HELP, OPTION_VERSION };

/* Values below OPTION_CONFIG index config_keys. */
static const struct option options[] = {
	{ "node",	required_argument,	NULL, 0 },
	{ "listen",	required_argument,	NULL, 1 },
	{ "peer",	required_argument,	NULL, 2 },
	{ "log-level",	required_argument,	NULL, 5 },
	{ "key",	required_argument,	NULL, 6 },
	{ "insecure",	no_argument,		NULL, 11 },
	{ "config",	required_argument,	NULL, OPTION_CONFIG },
	{ "help",	no_argument,		NULL, OPTION_HELP },
	{ "version",	no_argument,		NULL, OPTION_VERSION },
	{ NULL,		0,			NULL, 0 },
};

/* Once for the file, wherever it is named, and once for everything else. */
static enum config_result options_read(struct config *config, int argc, char **argv, bool file)
{
	const struct config_place place = { .file = NULL };
	int option;

	optind = 1;
	opterr = file;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case '?':
			log_error("try 'dsmd --help'");
			return CONFIG_BAD;
		case OPTION_HELP:
			usage();
			return CONFIG_DONE;
		case OPTION_VERSION:
			printf("dsmd %s\n", DSMD_VERSION);
			return CONFIG_DONE;
		case OPTION_CONFIG:
			if (file && !file_read(config, optarg))
				return CONFIG_BAD;
			break;
		default:
			if (!file && !config_keys[option].set(config, &place, optarg))
				return CONFIG_BAD;
		}
	}
	if (optind < argc) {
		log_error("'%s' is no option; try 'dsmd --help'", argv[optind]);
		return CONFIG_BAD;
	}
	return CONFIG_OK;
}

/* Ids are 0 to nodes - 1, each once, this node's among them. */
static bool nodes_count(struct config *config)
{
	uint32_t peers = 0;

	if (config->node < 0)
		return complain(NULL, "no node id: say --node ID, or 'node = ID' in the file");
	if (config->peers[config->node].text)
		return complain(NULL, "peer %d is this node itself: name only the others",
				config->node);

	for (int id = 0; id < DSM_NODES_MAX; id++)
		if (config->peers[id].text)
			peers++;
	config->nodes = peers + 1;

	if ((uint32_t)config->node >= config->nodes)
		return complain(NULL,
				"node %d: with %u peers there are %u nodes, and their ids are 0 to %u",
				config->node, peers, config->nodes, peers);
	for (uint32_t id = 0; id < config->nodes; id++)
		if (!config->peers[id].text && id != (uint32_t)config->node)
			return complain(NULL,
					"peer %u is missing: with %u peers the node ids are 0 to %u",
					id, peers, peers);
	return true;
}

/* "key", "certificate" or "insecure". */
const char *config_security(const struct config *config)
{
	return config->key ? "key" : config->certificate ? "certificate" : "insecure";
}

static bool security_check(const struct config *config)
{
	bool some = config->certificate || config->private_key || config->authority;
	bool all = config->certificate && config->private_key && config->authority;

	if (config->insecure && (config->key || some || config->revoked))
		return complain(NULL,
				"insecure = yes, and there is a %s: say only one of them",
				config->key ? "key" : "certificate");
	if (config->key && some)
		return complain(NULL, "there is a key and a certificate: say only one of them");
	if (some && !all)
		return complain(NULL, "certificate, private-key and authority belong together, and %s is missing",
				!config->certificate ? "certificate" :
				!config->private_key ? "private-key" : "authority");
	if (config->revoked && !all)
		return complain(NULL, "revoked is for certificates, and there is no certificate");
	if (config->key || some || config->insecure)
		return true;
	return complain(NULL,
			"there is no key: make one with 'dsmctl keygen /etc/dsm/key', copy the file to all nodes, and say --key /etc/dsm/key, or 'key = /etc/dsm/key' in the file. dsmd(8) describes certificates, and 'insecure = yes'");
}

static const char *listen_default(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return CONFIG_LISTEN_NO_IPV6;
	close(fd);
	return CONFIG_LISTEN_DEFAULT;
}

static bool config_check(struct config *config)
{
	char what[32];

	if (!nodes_count(config))
		return false;
	if (config->lost_ms < 2 * config->heartbeat_ms)
		return complain(NULL,
				"lost_ms is %u and heartbeat_ms %u: it must be twice that at least",
				config->lost_ms, config->heartbeat_ms);
	if (!security_check(config))
		return false;

	if (!config->listen.text)
		config->listen.text = strdup(listen_default());
	if (!config->listen.text || !address_resolve(&config->listen, "listen", true))
		return false;
	for (uint32_t id = 0; id < config->nodes; id++) {
		snprintf(what, sizeof(what), "peer %u", id);
		if (id != (uint32_t)config->node &&
		    !address_resolve(&config->peers[id], what, false))
			return false;
	}
	return true;
}

void config_init(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->node = -1;
	config->heartbeat_ms = CONFIG_HEARTBEAT_MS;
	config->lost_ms = CONFIG_LOST_MS;
	config->log_level = LOG_INFO;
}

void config_exit(struct config *config)
{
	free(config->listen.text);
	free(config->key);
	free(config->certificate);
	free(config->private_key);
	free(config->authority);
	free(config->revoked);
	for (int id = 0; id < DSM_NODES_MAX; id++)
		free(config->peers[id].text);
}

enum config_result config_read(struct config *config, int argc, char **argv)
{
	enum config_result result = options_read(config, argc, argv, true);

	if (result == CONFIG_OK)
		result = options_read(config, argc, argv, false);
	if (result == CONFIG_OK && !config_check(config))
		result = CONFIG_BAD;
	return result;
}
