// toml_parse.cpp - the one file that knows toml++.
//
// It turns the parser's tree into plain nodes; no exception and no C++ type leaves it.
#include "config/toml_parse.h"

#include <algorithm>
#include <new>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "config/toml_nesting.h"

namespace
{

constexpr int most_levels = 64;

struct maker {
    const wispi_source *source;
    wispi_arena *arena;
    wisp_error *err;

    wispi_place place(const toml::source_region &region) const
    {
        return {source, static_cast<int32_t>(region.begin.line),
                static_cast<int32_t>(region.begin.column)};
    }

    wisp_status no_memory() const
    {
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its content", source->name);
    }

    wisp_status text(std::string_view from, wispi_place at, const char **to) const
    {
        if (from.find('\0') != from.npos)
            return wispi_place_fail(at, err, WISP_E_CONFIG, "remove the \\u0000",
                                    "a text with a NUL character");
        char *copy = static_cast<char *>(wispi_arena_alloc(arena, from.size() + 1));
        if (!copy)
            return no_memory();
        memcpy(copy, from.data(), from.size());
        *to = copy;
        return WISP_OK;
    }

    wisp_status table(const toml::table &from, int level, wispi_node *to) const;
    wisp_status value(const toml::node &from, int level, wispi_node *to) const;
    wisp_status child(const toml::key *key, const toml::node &from, int level,
                      wispi_node *parent) const;
};

wisp_status maker::child(const toml::key *key, const toml::node &from, int level,
                         wispi_node *parent) const
{
    auto *to = static_cast<wispi_node *>(wispi_arena_alloc(arena, sizeof(wispi_node)));
    if (!to)
        return no_memory();
    to->place = place(from.source());
    to->key_place = key ? place(key->source()) : to->place;
    if (key)
        WISP_TRY(text(key->str(), to->key_place, &to->key));
    WISP_TRY(value(from, level, to));
    wispi_node_append(parent, to);
    return WISP_OK;
}

// The parser sorts a table by key; people read it in the order in which they wrote it.
wisp_status maker::table(const toml::table &from, int level, wispi_node *to) const
{
    std::vector<std::pair<const toml::key *, const toml::node *>> entries;
    for (auto &&[key, node] : from)
        entries.emplace_back(&key, &node);
    std::stable_sort(entries.begin(), entries.end(), [](const auto &a, const auto &b) {
        return a.first->source().begin < b.first->source().begin;
    });
    for (const auto &[key, node] : entries)
        WISP_TRY(child(key, *node, level + 1, to));
    return WISP_OK;
}

wisp_status maker::value(const toml::node &from, int level, wispi_node *to) const
{
    if (level > most_levels)
        return wispi_place_fail(to->place, err, WISP_E_CONFIG, NULL, "nested more than %d levels",
                                most_levels);
    switch (from.type()) {
    case toml::node_type::table:
        to->type = WISPI_NODE_TABLE;
        return table(*from.as_table(), level, to);
    case toml::node_type::array:
        to->type = WISPI_NODE_ARRAY;
        for (auto &&item : *from.as_array())
            WISP_TRY(child(nullptr, item, level + 1, to));
        return WISP_OK;
    case toml::node_type::string:
        to->type = WISPI_NODE_STRING;
        return text(from.as_string()->get(), to->place, &to->string);
    case toml::node_type::integer:
        to->type = WISPI_NODE_INTEGER;
        to->integer = from.as_integer()->get();
        return WISP_OK;
    case toml::node_type::floating_point:
        to->type = WISPI_NODE_FLOAT;
        to->number = from.as_floating_point()->get();
        return WISP_OK;
    case toml::node_type::boolean:
        to->type = WISPI_NODE_BOOL;
        to->integer = from.as_boolean()->get();
        return WISP_OK;
    default:
        return wispi_place_fail(to->place, err, WISP_E_CONFIG,
                                "put it in quotes if a text was meant",
                                "dates and times are not used here");
    }
}

wisp_status parse(const maker &make, std::string_view text, const char *hint, wispi_node *root)
{
    try {
        toml::table table = toml::parse(text, std::string_view());
        return make.table(table, 0, root);
    } catch (const toml::parse_error &error) {
        std::string_view what = error.description();
        return wispi_place_fail(make.place(error.source()), make.err, WISP_E_CONFIG, hint, "%.*s",
                                static_cast<int>(std::min<size_t>(what.size(), 400)), what.data());
    } catch (const std::bad_alloc &) {
        return make.no_memory();
    } catch (...) {
        return wisp_fail(make.err, WISP_E_INTERNAL, "%s: the TOML parser failed",
                         make.source->name);
    }
}

} // namespace

const wispi_source *wispi_toml_source(const char *name, const char *text, size_t n,
                                      wispi_arena *arena)
{
    auto *source = static_cast<wispi_source *>(wispi_arena_alloc(arena, sizeof(wispi_source)));
    char *copy = static_cast<char *>(wispi_arena_alloc(arena, n + 1));
    char *label = wispi_arena_text(arena, name);
    if (!source || !copy || !label)
        return nullptr;
    if (n)
        memcpy(copy, text, n);
    source->name = label;
    source->text = copy;
    source->length = n;
    return source;
}

wisp_status wispi_toml_parse_as(const wispi_source *shown, const char *text, size_t n,
                                const char *hint, wispi_arena *arena, wispi_node **root,
                                wisp_error *err)
{
    auto *node = static_cast<wispi_node *>(wispi_arena_alloc(arena, sizeof(wispi_node)));
    if (!node)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its content", shown->name);
    WISP_TRY(wispi_toml_check_nesting(shown, text, n, err));
    node->type = WISPI_NODE_TABLE;
    node->place = node->key_place = {shown, 1, 1};
    WISP_TRY(parse({shown, arena, err}, std::string_view(text, n), hint, node));
    *root = node;
    return WISP_OK;
}

wisp_status wispi_toml_parse(const char *name, const char *text, size_t n, wispi_arena *arena,
                             wispi_node **root, wisp_error *err)
{
    if (n > WISPI_TOML_MOST_BYTES)
        return wisp_fail(err, WISP_E_CONFIG, "%s: %zu bytes; a configuration has at most %d", name,
                         n, WISPI_TOML_MOST_BYTES);
    const wispi_source *source = wispi_toml_source(name, text, n, arena);
    if (!source)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its content", name);
    return wispi_toml_parse_as(source, source->text, n, nullptr, arena, root, err);
}
