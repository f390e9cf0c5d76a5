/*
 * The callbacks of the parser for the head of a usual request. They collect it straight into the environ's dictionary.
 *
 * `HeadCallbacks` is the base of http1.engine.Engine, and has the attributes of _fast.pure.HeadCallbacks. Whatever
 * policy must see is unusual: then the method of the engine that has every rule in Python is called with the same
 * bytes, and nothing has been changed before.
 */

#include "fast.h"

#include <stddef.h>

typedef struct {
    PyObject_HEAD
    /* Members of type T_OBJECT_EX: the interpreter reads and writes them without a call. What is missing is None. */
    PyObject *request, *complete, *fields, *target, *fed, *host, *parser;
    PyObject *prototype, *keys, *methods, *make_request;
    Py_ssize_t repeated, most_fields, longest_target;
} Head;

static const char VERSION_1_1[] = " HTTP/1.1\r\n";

static PyObject *any_url, *any_field, *any_end, *any_content, *get_method, *should_keep_alive;
static PyObject *http_host, *content_length, *transfer_encoding, *expect, *version_1_1;

static int
head_traverse(Head *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->request);
    Py_VISIT(self->fields);
    Py_VISIT(self->parser);
    Py_VISIT(self->prototype);
    return 0;
}

static int
head_clear(Head *self)
{
    PyObject **owned[] = {&self->request, &self->complete, &self->fields, &self->target, &self->fed, &self->host,
                          &self->parser, &self->prototype, &self->keys, &self->methods, &self->make_request, NULL};
    for (PyObject ***each = owned; *each != NULL; each++) {
        Py_CLEAR(**each);
    }
    return 0;
}

static void
head_dealloc(Head *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    head_clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Whether a member that Python code may have deleted or set to None is there. */
static int
is_there(PyObject *member)
{
    return member != NULL && member != Py_None;
}

/* Put a new reference into a member. */
static void
replace(PyObject **member, PyObject *by)
{
    PyObject *old = *member;
    *member = by;
    Py_XDECREF(old);
}

static PyObject *
on_url(Head *self, PyObject *piece)
{
    if (is_there(self->fields) || self->complete != Py_False || !PyBytes_CheckExact(piece)
        || PyBytes_Size(piece) > self->longest_target) {
        return PyObject_CallMethodObjArgs((PyObject *)self, any_url, piece, NULL);
    }
    PyObject *fields = PyDict_Copy(self->prototype);
    if (fields == NULL) {
        return NULL;
    }
    Py_INCREF(piece);
    replace(&self->target, piece);
    replace(&self->fields, fields);
    self->repeated = 0;
    Py_RETURN_NONE;
}

/* What bytes.strip takes for a blank. */
static int
is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static PyObject *
stripped_text(PyObject *value)
{
    char *begin;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(value, &begin, &size) < 0) {
        return NULL;
    }
    for (; size > 0 && is_blank(begin[size - 1]); size--) {
    }
    for (; size > 0 && is_blank(*begin); size--) {
        begin++;
    }
    return PyUnicode_DecodeLatin1(begin, size, NULL);
}

/* Return the key of a known field that is new in this head (borrowed). NULL, maybe with an exception, if it is none. */
static PyObject *
key_of_new(Head *self, PyObject *name)
{
    PyObject *key = is_there(self->fields) ? PyDict_GetItemWithError(self->keys, name) : NULL;
    if (key == NULL || PyUnicode_GetLength(key) == 0) {
        return NULL; /* the key of a field that is dropped is empty */
    }
    return PyDict_Contains(self->fields, key) == 0 ? key : NULL;
}

static PyObject *
on_header(Head *self, PyObject *const *arguments, Py_ssize_t count)
{
    REFUSE_OTHER_COUNT("on_header", count, 2);
    PyObject *key = key_of_new(self, arguments[0]);
    if (key == NULL) {
        return PyErr_Occurred()
                   ? NULL
                   : PyObject_CallMethodObjArgs((PyObject *)self, any_field, arguments[0], arguments[1], NULL);
    }
    PyObject *text = stripped_text(arguments[1]);
    if (text == NULL) {
        return NULL;
    }
    int failed = PyDict_SetItem(self->fields, key, text);
    Py_DECREF(text);
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Whether the target is a path without a fragment, and HTTP/1.1 stands behind it and one blank. */
static int
is_usual_line(Head *self, PyObject *wire_method)
{
    char *fed, *target;
    Py_ssize_t fed_size, size, length = (Py_ssize_t)sizeof VERSION_1_1 - 1;
    if (PyBytes_AsStringAndSize(self->fed, &fed, &fed_size) < 0
        || PyBytes_AsStringAndSize(self->target, &target, &size) < 0) {
        return -1;
    }
    Py_ssize_t end = PyBytes_Size(wire_method) + 1 + size;
    return fed_size - end >= length && memcmp(fed + end, VERSION_1_1, (size_t)length) == 0 && size > 0
           && *target == '/' && memchr(target, '#', (size_t)size) == NULL;
}

/* Whether the host is the one that was checked last on this connection, and there are not too many fields. */
static int
has_usual_fields(Head *self)
{
    PyObject *host = PyDict_GetItemWithError(self->fields, http_host);
    if (host == NULL || !is_there(self->host) || PyDict_Size(self->fields) + self->repeated > self->most_fields) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return PyObject_RichCompareBool(host, self->host, Py_EQ);
}

/* Return the method as text (borrowed) if nothing in the head needs a rule. NULL, maybe with an exception, if not. */
static PyObject *
method_of_usual(Head *self)
{
    PyObject *wire = is_there(self->fields) ? PyObject_CallMethodObjArgs(self->parser, get_method, NULL) : NULL;
    if (wire == NULL) {
        return NULL;
    }
    PyObject *method = PyDict_GetItemWithError(self->methods, wire);
    if (method != NULL && (is_usual_line(self, wire) <= 0 || has_usual_fields(self) <= 0)) {
        method = NULL;
    }
    Py_DECREF(wire);
    return method;
}

/* Make the request. http1.request.Request takes: method, target, version, fields, keep_alive, plain. */
static PyObject *
make_request(Head *self, PyObject *method)
{
    PyObject *kept = PyObject_CallMethodObjArgs(self->parser, should_keep_alive, NULL);
    int keeps = kept == NULL ? -1 : PyObject_IsTrue(kept);
    Py_XDECREF(kept);
    if (keeps < 0) {
        return NULL;
    }
    PyObject *plain = PyUnicode_CompareWithASCIIString(method, "HEAD") != 0 ? Py_True : Py_False;
    return PyObject_CallFunctionObjArgs(self->make_request, method, self->target, version_1_1, self->fields,
                                        keeps ? Py_True : Py_False, plain, NULL);
}

/* Let the engine judge what the head says of content, if it says anything. Returns -1 with an exception set. */
static int
judge_content(PyObject *engine, PyObject *fields, PyObject *request)
{
    if (!PyDict_Contains(fields, content_length) && !PyDict_Contains(fields, transfer_encoding)
        && !PyDict_Contains(fields, expect)) {
        return 0;
    }
    PyObject *judged = PyErr_Occurred() ? NULL : PyObject_CallMethodObjArgs(engine, any_content, request, NULL);
    Py_XDECREF(judged);
    return judged == NULL ? -1 : 0;
}

static PyObject *
on_headers_complete(Head *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *method = method_of_usual(self);
    if (method == NULL) {
        return PyErr_Occurred() ? NULL : PyObject_CallMethodObjArgs((PyObject *)self, any_end, NULL);
    }
    PyObject *request = make_request(self, method);
    if (request == NULL || judge_content((PyObject *)self, self->fields, request) < 0) {
        Py_XDECREF(request);
        return NULL;
    }
    replace(&self->request, request);
    replace(&self->fields, Py_NewRef(Py_None));
    Py_RETURN_NONE;
}

static PyObject *
on_message_complete(Head *self, PyObject *Py_UNUSED(nothing))
{
    replace(&self->complete, Py_NewRef(Py_True));
    Py_RETURN_NONE;
}

#define OBJECT(name, member) {name, T_OBJECT_EX, offsetof(Head, member), 0, NULL}
#define NUMBER(name, member) {name, T_PYSSIZET, offsetof(Head, member), 0, NULL}

static PyMemberDef members[] = {
    OBJECT("request", request),            OBJECT("complete", complete),
    OBJECT("_fields", fields),             OBJECT("_target", target),
    OBJECT("_fed", fed),                   OBJECT("_host", host),
    OBJECT("_parser", parser),             OBJECT("_prototype", prototype),
    OBJECT("_keys", keys),                 OBJECT("_methods", methods),
    OBJECT("_make_request", make_request), NUMBER("_repeated", repeated),
    NUMBER("_most_fields", most_fields),   NUMBER("_longest_target", longest_target),
    {NULL},
};

static PyMethodDef methods[] = {
    {"on_url", (PyCFunction)on_url, METH_O, NULL},
    {"on_header", FAST_FUNCTION(on_header), METH_FASTCALL, NULL},
    {"on_headers_complete", (PyCFunction)on_headers_complete, METH_NOARGS, NULL},
    {"on_message_complete", (PyCFunction)on_message_complete, METH_NOARGS, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_members, members},   {Py_tp_methods, methods},      {Py_tp_traverse, head_traverse},
    {Py_tp_clear, head_clear},  {Py_tp_dealloc, head_dealloc}, {0, NULL},
};

static PyType_Spec spec = {
    .name = "pastepool._fast._native.HeadCallbacks",
    .basicsize = sizeof(Head),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int
add_head(PyObject *module)
{
    const struct {
        PyObject **name;
        const char *text;
    } names[] = {
        {&any_url, "any_url"},
        {&any_field, "any_field"},
        {&any_end, "any_end"},
        {&any_content, "any_content"},
        {&get_method, "get_method"},
        {&should_keep_alive, "should_keep_alive"},
        {&http_host, "HTTP_HOST"},
        {&content_length, "CONTENT_LENGTH"},
        {&transfer_encoding, "HTTP_TRANSFER_ENCODING"},
        {&expect, "HTTP_EXPECT"},
        {&version_1_1, "1.1"},
    };
    for (size_t each = 0; each < sizeof names / sizeof *names; each++) {
        if ((*names[each].name = PyUnicode_InternFromString(names[each].text)) == NULL) {
            return -1;
        }
    }
    PyObject *type = PyType_FromSpec(&spec);
    int failed = type == NULL || PyModule_AddType(module, (PyTypeObject *)type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}
