"""A contract with a form, layers and comments, and what may be done to it after it was signed.

Each function takes the writer of a new revision (`forged_pdfs.update`). What they do is named by
the published attacks: incremental saving and signature wrapping (Mladenov and others, 2019), shadow
attacks (2021), evil annotations and evil signatures on certified documents (2021).
"""

import functools

from pyhanko.pdf_utils import generic
from pyhanko.sign import fields

from tests.support import forged_pdfs, signed_pdfs
from tests.support.forged_pdfs import name

array, dictionary, text = generic.ArrayObject, generic.DictionaryObject, generic.pdf_string


def numbers(*values):
    return array(map(generic.NumberObject, values))


def drawing(data: bytes = b"BT /Helv 12 Tf 20 400 Td (TEST forged) Tj ET", **entries):
    """A form XObject."""
    made = {name("/Type"): name("/XObject"), name("/Subtype"): name("/Form")}
    made[name("/BBox")] = numbers(0, 0, 100, 20)
    made |= {name(f"/{key}"): value for key, value in entries.items()}
    return generic.StreamObject(made, stream_data=data)


def font(base: str = "Helvetica"):
    return dictionary(
        {
            name("/Type"): name("/Font"),
            name("/Subtype"): name("/Type1"),
            name("/BaseFont"): name(f"/{base}"),
        }
    )


def looks(writer, data: bytes):
    return dictionary({name("/N"): writer.add_object(drawing(data))})


def _widget(writer, title: str, kind: str, box, **entries):
    made = {
        name("/Type"): name("/Annot"),
        name("/Subtype"): name("/Widget"),
        name("/FT"): name(f"/{kind}"),
        name("/T"): text(title),
        name("/Rect"): numbers(*box),
        name("/F"): generic.NumberObject(4),
    }
    made |= {name(f"/{key}"): value for key, value in entries.items()}
    return writer.add_object(dictionary(made))


@functools.cache
def contract(*, prepared: bool = False) -> bytes:
    """Two pages with a form, a place for a second signature, a layer and a note.

    One that is prepared by a hostile author names an object that does not exist yet.
    """

    def add(writer) -> None:
        page = writer.root["/Pages"]["/Kids"][0]
        listed = [
            _widget(
                writer,
                "amount",
                "Tx",
                (10, 700, 110, 720),
                V=text("100"),
                DA=text("/Helv 12 Tf 0 g"),
                AP=looks(writer, b"/Tx BMC BT /Helv 12 Tf 2 5 Td (100) Tj ET EMC"),
            ),
            _widget(writer, "note", "Tx", (10, 670, 110, 690), DA=text("/Helv 12 Tf 0 g")),
            _widget(
                writer,
                "logo",
                "Btn",
                (10, 600, 110, 660),
                Ff=generic.NumberObject(1 << 16),
                AP=looks(writer, b"0.9 g 0 0 100 20 re f"),
            ),
            _widget(
                writer,
                "agreed",
                "Btn",
                (10, 580, 20, 590),
                V=name("/Off"),
                AS=name("/Off"),
                AP=dictionary(
                    {
                        name("/N"): dictionary(
                            {
                                name("/Yes"): writer.add_object(drawing(b"0 0 m 100 20 l S")),
                                name("/Off"): writer.add_object(drawing(b"q Q")),
                            }
                        )
                    }
                ),
            ),
            _widget(
                writer,
                "city",
                "Ch",
                (10, 540, 110, 560),
                Opt=array(map(text, ("Baku", "Tbilisi"))),
                DA=text("/Helv 12 Tf 0 g"),
            ),
        ]
        remark = writer.add_object(
            dictionary(
                {
                    name("/Type"): name("/Annot"),
                    name("/Subtype"): name("/Text"),
                    name("/Rect"): numbers(400, 700, 420, 720),
                    name("/Contents"): text("TEST remark"),
                }
            )
        )
        page[name("/Annots")] = array([*listed, remark])
        writer.update_container(page)
        layer = writer.add_object(
            dictionary({name("/Type"): name("/OCG"), name("/Name"): text("TEST layer")})
        )
        writer.root[name("/OCProperties")] = dictionary(
            {
                name("/OCGs"): array([layer]),
                name("/D"): dictionary({name("/ON"): array([layer]), name("/OFF"): array()}),
            }
        )
        tags = dictionary({name("/Type"): name("/StructTreeRoot")})
        top = writer.add_object(tags)
        whole = writer.add_object(
            dictionary({name("/S"): name("/Document"), name("/P"): top, name("/K"): array()})
        )
        tags[name("/K")] = whole
        whole.get_object()["/K"].append(
            writer.add_object(
                dictionary(
                    {name("/S"): name("/P"), name("/P"): whole, name("/ActualText"): text("TEST")}
                )
            )
        )
        writer.root[name("/StructTreeRoot")] = top
        writer.root[name("/AcroForm")] = dictionary(
            {
                name("/Fields"): array(listed),
                name("/DA"): text("/Helv 0 Tf 0 g"),
                name("/DR"): dictionary(
                    {name("/Font"): dictionary({name("/Helv"): writer.add_object(font())})}
                ),
            }
        )
        # Nothing leads to it yet: a second text, prepared by whoever wrote the contract.
        writer.add_object(drawing(b"BT /F1 12 Tf 20 400 Td (TEST other contract) Tj ET"))
        if prepared:
            first = page.raw_get("/Contents")
            page[name("/Contents")] = array([first, generic.IndirectObject(190, 0, writer)])
        writer.update_root()
        fields.append_signature_field(
            writer, fields.SigFieldSpec("Approval", on_page=1, box=(300, 50, 500, 100))
        )

    return forged_pdfs.update(signed_pdfs.make_pdf(), add)


# --- where things are --------------------------------------------------------------------------


def page(writer, number: int = 0):
    return writer.root["/Pages"]["/Kids"][number]


def field(writer, title: str):
    """A form field and the reference to it."""
    for one in writer.root["/AcroForm"]["/Fields"]:
        value = one.get_object()
        if value["/T"] == title:
            listed = writer.root["/AcroForm"]["/Fields"]
            place = [item.get_object() is value for item in listed].index(True)
            return value, listed.raw_get(place)
    raise LookupError(title)


def change_field(writer, title: str, **entries) -> None:
    value, reference = field(writer, title)
    for key, item in entries.items():
        value[name(f"/{key}")] = item
    writer.mark_update(reference)


def annotate(writer, kind: str, box=(20, 380, 400, 420), **entries) -> None:
    made = {
        name("/Type"): name("/Annot"),
        name("/Subtype"): name(f"/{kind}"),
        name("/Rect"): numbers(*box),
        name("/Contents"): text("TEST"),
        name("/F"): generic.NumberObject(4),
    }
    made |= {name(f"/{key}"): value for key, value in entries.items()}
    add_to_page(writer, writer.add_object(dictionary(made)))


def add_to_page(writer, reference) -> None:
    on = page(writer)
    on["/Annots"].append(reference)
    writer.update_container(on["/Annots"])


def set_root(writer, key: str, value) -> None:
    writer.root[name(key)] = value
    writer.update_root()


def script():
    return dictionary({name("/S"): name("/JavaScript"), name("/JS"): text("app.alert(1)")})


# --- the document ------------------------------------------------------------------------------


def run_a_script(writer) -> None:
    set_root(writer, "/OpenAction", script())


def name_a_script(writer) -> None:
    tree = dictionary({name("/Names"): array([text("a"), writer.add_object(script())])})
    set_root(writer, "/Names", dictionary({name("/JavaScript"): tree}))


def act_on_closing(writer) -> None:
    set_root(writer, "/AA", dictionary({name("/WC"): script()}))


def attach_a_file(writer) -> None:
    stream = generic.StreamObject({name("/Type"): name("/EmbeddedFile")}, stream_data=b"TEST")
    file = dictionary(
        {
            name("/Type"): name("/Filespec"),
            name("/F"): text("price.txt"),
            name("/EF"): dictionary({name("/F"): writer.add_object(stream)}),
        }
    )
    tree = dictionary({name("/Names"): array([text("price.txt"), writer.add_object(file)])})
    set_root(writer, "/Names", dictionary({name("/EmbeddedFiles"): tree}))


def switch_a_layer_off(writer) -> None:
    settings = writer.root["/OCProperties"]["/D"]
    settings[name("/OFF")], settings[name("/ON")] = settings["/ON"], settings["/OFF"]
    writer.update_root()


def drop_the_layers(writer) -> None:
    del writer.root["/OCProperties"]
    writer.update_root()


def define_what_was_named(writer) -> None:
    """An object that the catalogue named when it was signed, and that did not exist then."""
    while (made := writer.add_object(generic.NullObject())).idnum < 189:
        pass
    assert writer.add_object(drawing()).idnum == 190, made


def permit_more(writer) -> None:
    writer.root["/Perms"]["/DocMDP"]["/Reference"][0]["/TransformParams"][name("/P")] = (
        generic.NumberObject(3)
    )
    writer.update_container(writer.root["/Perms"]["/DocMDP"])


def drop_the_permissions(writer) -> None:
    del writer.root["/Perms"]
    writer.update_root()


def read_aloud_otherwise(writer) -> None:
    element = writer.root["/StructTreeRoot"]["/K"]["/K"].raw_get(0)
    element.get_object()[name("/ActualText")] = text("TEST 900")
    writer.mark_update(element)


def read_more_aloud(writer) -> None:
    add_a_tag(writer, S=name("/P"), ActualText=text("TEST 900"))


def add_a_tag(writer, **entries) -> None:
    whole = writer.root["/StructTreeRoot"].raw_get("/K")
    made = {name("/P"): whole} | {name(f"/{key}"): value for key, value in entries.items()}
    whole.get_object()["/K"].append(writer.add_object(dictionary(made)))
    writer.mark_update(whole)


def certify_with_an_old_signature(writer) -> None:
    signature = field(writer, "Signature1")[0].raw_get("/V")
    set_root(writer, "/Perms", dictionary({name("/DocMDP"): signature}))


def set_a_base_address(writer) -> None:
    set_root(writer, "/URI", dictionary({name("/Base"): text("http://other.test/")}))


def set_viewer_preferences(writer) -> None:
    set_root(
        writer,
        "/ViewerPreferences",
        dictionary({name("/HideToolbar"): generic.BooleanObject(value=True)}),
    )


def number_pages_otherwise(writer) -> None:
    label = dictionary({name("/S"): name("/R"), name("/St"): generic.NumberObject(7)})
    set_root(
        writer,
        "/PageLabels",
        dictionary({name("/Nums"): array([generic.NumberObject(0), label])}),
    )


def store_content_as_evidence(writer) -> None:
    """A store of evidence whose certificate is drawn on the page."""
    content = writer.add_object(drawing())
    set_root(writer, "/DSS", dictionary({name("/Certs"): array([content])}))
    first = page(writer)
    first[name("/Contents")] = array([first.raw_get("/Contents"), content])
    writer.update_container(first)


# --- pages -------------------------------------------------------------------------------------


def write_over_the_page(writer) -> None:
    stream = page(writer).raw_get("/Contents")
    stream.get_object()._data = b"BT /F1 12 Tf 20 400 Td (TEST 900) Tj ET"
    stream.get_object()._encoded_data = None
    writer.mark_update(stream)


def add_content(writer) -> None:
    first = page(writer)
    first[name("/Contents")] = array([first.raw_get("/Contents"), writer.add_object(drawing())])
    writer.update_container(first)


def redefine_a_font(writer) -> None:
    fonts = page(writer)["/Resources"]["/Font"]
    reference = fonts.raw_get(next(iter(fonts)))
    reference.get_object()[name("/BaseFont")] = name("/Symbol")
    writer.mark_update(reference)


def swap_resources(writer) -> None:
    first = page(writer)
    resources = dictionary(dict(first["/Resources"].items()))
    resources[name("/Font")] = dictionary(
        {key: writer.add_object(font("Symbol")) for key in resources["/Font"]}
    )
    first[name("/Resources")] = resources
    writer.update_container(first)


def add_a_page(writer) -> None:
    tree = writer.root["/Pages"]
    copy = dictionary(dict(page(writer).items()))
    tree["/Kids"].append(writer.add_object(copy))
    tree[name("/Count")] = generic.NumberObject(3)
    writer.mark_update(writer.root.raw_get("/Pages"))


def remove_a_page(writer) -> None:
    tree = writer.root["/Pages"]
    tree[name("/Kids")] = array([tree["/Kids"].raw_get(0)])
    tree[name("/Count")] = generic.NumberObject(1)
    writer.mark_update(writer.root.raw_get("/Pages"))


def reorder_pages(writer) -> None:
    tree = writer.root["/Pages"]
    tree[name("/Kids")] = array([tree["/Kids"].raw_get(1), tree["/Kids"].raw_get(0)])
    writer.mark_update(writer.root.raw_get("/Pages"))


def repeat_a_page(writer) -> None:
    tree = writer.root["/Pages"]
    tree[name("/Kids")] = array([tree["/Kids"].raw_get(0), tree["/Kids"].raw_get(0)])
    writer.mark_update(writer.root.raw_get("/Pages"))


def set_page(writer, key: str, value) -> None:
    first = page(writer)
    first[name(key)] = value
    writer.update_container(first)


def rotate(writer) -> None:
    set_page(writer, "/Rotate", generic.NumberObject(180))


def crop(writer) -> None:
    set_page(writer, "/CropBox", numbers(0, 0, 100, 100))


def write_down_the_size(writer) -> None:
    """What iText does to a page when it hangs a signature on it."""
    set_page(writer, "/MediaBox", writer.root["/Pages"]["/MediaBox"])


def write_the_size_with_other_digits(writer) -> None:
    """What poppler does to a page that it writes anew."""
    pages = writer.root["/Pages"]
    pages[name("/MediaBox")] = array(
        generic.FloatObject(str(float(one) * (1 + 1e-10))) for one in pages["/MediaBox"]
    )
    writer.update_container(pages)


def write_down_another_size(writer) -> None:
    set_page(writer, "/MediaBox", numbers(0, 0, 595, 400))


def scale(writer) -> None:
    set_page(writer, "/UserUnit", generic.NumberObject(10))


def open_a_page_with_a_script(writer) -> None:
    set_page(writer, "/AA", dictionary({name("/O"): script()}))


def give_a_page_other_parents(writer) -> None:
    """Readers look for what a page inherits at the parent that it names."""
    tree = dictionary(dict(writer.root["/Pages"].items()))
    tree[name("/Rotate")] = generic.NumberObject(90)
    set_page(writer, "/Parent", writer.add_object(tree))


def free_the_content(writer) -> None:
    """The content of a page becomes nothing."""
    reference = page(writer).raw_get("/Contents")
    writer.objects[(reference.generation, reference.idnum)] = generic.NullObject()


# --- annotations -------------------------------------------------------------------------------


def draw_a_free_text(writer) -> None:
    annotate(writer, "FreeText", AP=looks(writer, b"BT /Helv 12 Tf (TEST 900) Tj ET"))


def stamp_a_picture(writer) -> None:
    annotate(writer, "Stamp", AP=looks(writer, b"1 g 0 0 100 20 re f"))


def cover_with_a_square(writer) -> None:
    annotate(writer, "Square", IC=numbers(1, 1, 1))


def redact(writer) -> None:
    annotate(writer, "Redact", OverlayText=text("TEST"))


def write_with_ink(writer) -> None:
    annotate(writer, "Ink", InkList=array([numbers(20, 380, 40, 420)]))


def link_elsewhere(writer) -> None:
    action = dictionary({name("/S"): name("/URI"), name("/URI"): text("http://other.test/")})
    annotate(writer, "Link", A=action)


def mark_with_a_text(writer) -> None:
    """A marker that brings its own words."""
    annotate(writer, "Highlight", AP=looks(writer, b"BT /Helv 12 Tf (TEST 900) Tj ET"))


def mark_with_paint(writer) -> None:
    annotate(writer, "Highlight", AP=looks(writer, b"1 1 1 rg 0 0 100 20 re f"))


def strike_out_in_a_larger_box(writer) -> None:
    """A line of two points in a box that is twenty times as high where it is shown."""
    look = looks(writer, b"1 G 2 w 0 10 m 100 10 l S")
    annotate(writer, "StrikeOut", (20, 300, 120, 700), AP=look)


def strike_out_with_a_width_from_elsewhere(writer) -> None:
    states = dictionary({name("/G"): dictionary({name("/LW"): generic.NumberObject(40)})})
    line = drawing(
        b"/G gs 1 G 0 10 m 100 10 l S", Resources=dictionary({name("/ExtGState"): states})
    )
    look = dictionary({name("/N"): writer.add_object(line)})
    annotate(writer, "StrikeOut", (20, 380, 120, 400), AP=look)


def underline_with_a_letter(writer) -> None:
    look = looks(writer, b"1 w 0 0 m 5 20 l 10 0 l S")
    annotate(writer, "Underline", (20, 380, 120, 400), AP=look)


def black_out_with_a_marker(writer) -> None:
    mark_a_text(writer, b"0 g")


def black_out_before_the_colour_is_set(writer) -> None:
    mark_a_text(writer, b"0 0 100 20 re f 1 1 0 rg")


def black_out_behind_a_colour_taken_back(writer) -> None:
    mark_a_text(writer, b"q 1 1 0 rg Q")


def black_out_under_a_colour_in_a_remark(writer) -> None:
    mark_a_text(writer, b"% 1 1 0 rg\n")


def strike_out_broadly_behind_a_zero(writer) -> None:
    look = looks(writer, b"1 1 1 RG 50\x00w 0 10 m 100 10 l S")
    annotate(writer, "StrikeOut", (20, 380, 120, 400), AP=look)


def strike_out_broadly(writer) -> None:
    look = looks(writer, b"1 G 40 w 0 10 m 100 10 l S")
    annotate(writer, "StrikeOut", (20, 380, 120, 400), AP=look)


def hang_a_large_note(writer) -> None:
    annotate(writer, "Text", AP=looks(writer, b"1 g 0 0 100 20 re f"))


def hang_a_note_with_a_script(writer) -> None:
    annotate(writer, "Text", (500, 700, 520, 720), A=script())


def add_a_text_widget(writer) -> None:
    """A widget on the page that no form knows."""
    annotate(writer, "Widget", FT=name("/Tx"), V=text("900"))


def remove_the_remark(writer) -> None:
    first = page(writer)
    first["/Annots"].pop()
    writer.update_container(first["/Annots"])


def change_the_remark(writer) -> None:
    reference = page(writer)["/Annots"].raw_get(len(page(writer)["/Annots"]) - 1)
    reference.get_object()[name("/Contents")] = text("TEST other")
    writer.mark_update(reference)


def turn_annotations_over(writer) -> None:
    first = page(writer)
    listed = first["/Annots"]
    first[name("/Annots")] = array([listed.raw_get(place) for place in range(len(listed))][::-1])
    writer.update_container(first)


# --- the form ----------------------------------------------------------------------------------


def change_a_look_alone(writer) -> None:
    """The value stays, and what people see is another."""
    change_field(writer, "amount", AP=looks(writer, b"BT /Helv 12 Tf (900) Tj ET"))


def white_out_a_value(writer) -> None:
    change_field(writer, "amount", DA=text("/Helv 12 Tf 1 g"))


def hide_a_field(writer) -> None:
    change_field(writer, "logo", F=generic.NumberObject(6))


def change_a_button(writer) -> None:
    change_field(writer, "logo", AP=looks(writer, b"BT /Helv 12 Tf (TEST 900) Tj ET"))


def make_a_button_a_box(writer) -> None:
    """A box whose state has no picture shows nothing."""
    change_field(writer, "logo", Ff=generic.NumberObject(0))


def print_no_field(writer) -> None:
    change_field(writer, "amount", F=generic.NumberObject(0))


def move_a_field(writer) -> None:
    change_field(writer, "amount", Rect=numbers(10, 400, 300, 500))


def give_a_field_a_script(writer) -> None:
    change_field(writer, "amount", AA=dictionary({name("/F"): script()}))


def make_a_field_a_signature(writer) -> None:
    change_field(writer, "note", FT=name("/Sig"))


def add_a_text_field(writer) -> None:
    made = _widget(writer, "extra", "Tx", (20, 380, 400, 420), V=text("900"))
    form = writer.root["/AcroForm"]
    form["/Fields"].append(made)
    writer.update_container(form["/Fields"])
    add_to_page(writer, made)


def remove_a_field(writer) -> None:
    form = writer.root["/AcroForm"]
    listed = form["/Fields"]
    form[name("/Fields")] = array([listed.raw_get(place) for place in range(1, len(listed))])
    writer.update_container(form)


def redefine_the_form_font(writer) -> None:
    fonts = writer.root["/AcroForm"]["/DR"]["/Font"]
    reference = fonts.raw_get("/Helv")
    reference.get_object()[name("/BaseFont")] = name("/Symbol")
    writer.mark_update(reference)


def replace_the_form_font(writer) -> None:
    form = writer.root["/AcroForm"]
    fonts = dictionary({name("/Helv"): writer.add_object(font("Symbol"))})
    form[name("/DR")] = dictionary({name("/Font"): fonts})
    writer.update_container(form)


def ask_for_new_appearances(writer) -> None:
    form = writer.root["/AcroForm"]
    form[name("/NeedAppearances")] = generic.BooleanObject(value=True)
    writer.update_container(form)


def add_a_dynamic_form(writer) -> None:
    form = writer.root["/AcroForm"]
    form[name("/XFA")] = writer.add_object(generic.StreamObject(stream_data=b"<xdp/>"))
    writer.update_container(form)


def calculate_otherwise(writer) -> None:
    form = writer.root["/AcroForm"]
    form[name("/CO")] = array([field(writer, "amount")[1]])
    writer.update_container(form)


# --- signatures --------------------------------------------------------------------------------


def change_the_signature_stamp(writer) -> None:
    change_field(writer, "Signature1", AP=looks(writer, b"BT /Helv 12 Tf (TEST other) Tj ET"))


def remove_the_signature(writer) -> None:
    value, reference = field(writer, "Signature1")
    value[name("/V")] = writer.add_object(generic.NullObject())
    writer.mark_update(reference)


def replace_the_signature(writer) -> None:
    old = field(writer, "Signature1")[0]["/V"]
    change_field(writer, "Signature1", V=writer.add_object(dictionary(dict(old.items()))))


def show_the_signature_twice(writer) -> None:
    value, _ = field(writer, "Signature1")
    change_field(writer, "Approval", V=value.raw_get("/V"))


def fill_a_signature_with_something_else(writer) -> None:
    change_field(
        writer,
        "Approval",
        V=writer.add_object(dictionary({name("/Type"): name("/Sig"), name("/Name"): text("T")})),
        AP=looks(writer, b"BT /Helv 12 Tf (TEST signed) Tj ET"),
    )


def picture_without_signature(writer) -> None:
    change_field(writer, "Approval", AP=looks(writer, b"BT /Helv 12 Tf (TEST signed) Tj ET"))


def new_field_with_a_picture(writer) -> None:
    """A signature field over the text, which shows something and is not signed."""
    spec = fields.SigFieldSpec("Sneaky", on_page=0, box=(10, 10, 500, 800))
    fields.append_signature_field(writer, spec)
    change_field(writer, "Sneaky", AP=looks(writer, b"BT /Helv 12 Tf (TEST 900) Tj ET"))


def new_field_with_a_script(writer) -> None:
    fields.append_signature_field(
        writer, fields.SigFieldSpec("Sneaky", on_page=0, box=(0, 0, 0, 0))
    )
    change_field(writer, "Sneaky", AA=dictionary({name("/E"): script()}))


# --- what a signer had to expect ---------------------------------------------------------------


def fill_in_a_text(writer) -> None:
    change_field(writer, "note", V=text("TEST"), AP=looks(writer, b"BT /Helv 12 Tf (TEST) Tj ET"))


def change_a_text(writer) -> None:
    change_field(writer, "amount", V=text("900"), AP=looks(writer, b"BT /Helv 12 Tf (900) Tj ET"))


def choose_a_city(writer) -> None:
    """With the place to which the list was scrolled (ISO 32000-1 table 231), as iText does."""
    look = looks(writer, b"/Tx BMC BT /Helv 12 Tf 2 5 Td (Tbilisi) Tj ET EMC")
    change_field(
        writer, "city", V=text("Tbilisi"), I=numbers(1), TI=generic.NumberObject(1), AP=look
    )


def tick_a_box(writer) -> None:
    change_field(writer, "agreed", V=name("/Yes"), AS=name("/Yes"))


def prepare_a_field(writer) -> None:
    spec = fields.SigFieldSpec("Second", on_page=0, box=(10, 10, 200, 80))
    fields.append_signature_field(writer, spec)


def prepare_a_tagged_field(writer) -> None:
    """As Acrobat does in a tagged document."""
    prepare_a_field(writer)
    _, reference = field(writer, "Second")
    leads = dictionary({name("/Type"): name("/OBJR"), name("/Obj"): reference})
    add_a_tag(writer, S=name("/Form"), K=leads)
    tags = writer.root.raw_get("/StructTreeRoot")
    tags.get_object()[name("/ParentTreeNextKey")] = generic.NumberObject(1)
    writer.mark_update(tags)


def rewrite_the_catalog(writer) -> None:
    """As Acrobat does with each signature: versions, extensions, metadata, default resources."""
    root = writer.root
    root[name("/Version")] = name("/1.7")
    root[name("/Extensions")] = dictionary(
        {
            name("/ADBE"): dictionary(
                {
                    name("/BaseVersion"): name("/1.7"),
                    name("/ExtensionLevel"): generic.NumberObject(8),
                }
            )
        }
    )
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    root[name("/Metadata")] = writer.add_object(
        generic.StreamObject(
            {name("/Type"): name("/Metadata"), name("/Subtype"): name("/XML")}, stream_data=packet
        )
    )
    writer.update_root()
    form = root["/AcroForm"]
    form["/DR"]["/Font"][name("/ZaDb")] = writer.add_object(font("ZapfDingbats"))
    writer.update_container(form["/DR"]["/Font"])
    set_page(writer, "/Tabs", name("/S"))
    set_page(writer, "/LastModified", text("D:20260101000000Z"))


def write_private_data(writer) -> None:
    private = dictionary({name("/Private"): dictionary(), name("/LastModified"): text("D:2026")})
    set_page(writer, "/PieceInfo", dictionary({name("/TEST"): private}))


def update_the_information(writer) -> None:
    info = writer.add_object(dictionary({name("/Producer"): text("TEST")}))
    writer.set_info(info)


def change_nothing(writer) -> None:
    """The same objects written once more."""
    writer.update_root()
    writer.update_container(page(writer))


def write_an_unused_object(writer) -> None:
    writer.add_object(drawing())


def hang_a_note(writer) -> None:
    annotate(writer, "Text", (500, 700, 520, 720))


def hang_a_note_with_an_icon(writer) -> None:
    annotate(writer, "Text", (500, 700, 520, 720), AP=looks(writer, b"1 1 0 rg 0 0 20 20 re B"))


def mark_a_text(writer, colour: bytes = b"1 1 0 rg") -> None:
    states = dictionary({name("/G"): dictionary({name("/BM"): name("/Multiply")})})
    marker = drawing(
        b"/G gs %s 0 0 100 20 re f" % colour, Resources=dictionary({name("/ExtGState"): states})
    )
    annotate(
        writer,
        "Highlight",
        QuadPoints=numbers(20, 420, 400, 420, 20, 380, 400, 380),
        AP=dictionary({name("/N"): writer.add_object(marker)}),
    )


def underline_a_text(writer) -> None:
    look = looks(writer, b"1 0 0 RG 1 w 0 1 m 100 1 l S")
    annotate(writer, "Underline", (20, 380, 120, 400), AP=look)


def underline_as_mupdf_does(writer) -> None:
    """With a matrix that changes nothing, in the coordinates of the page."""
    line = drawing(b"1 0 0 RG 1.875 w 1 0 0 1 0 0 cm 20 382 m 120 382 l S")
    line[name("/BBox")] = numbers(20, 380, 120, 400)
    line[name("/Matrix")] = numbers(1, 0, 0, 1, 0, 0)
    look = dictionary({name("/N"): writer.add_object(line)})
    annotate(writer, "Underline", (20, 380, 120, 400), AP=look)


def write_evidence_oddly(writer) -> None:
    """As several products write a store of evidence, with a type and own entries inside."""
    stream = writer.add_object(generic.StreamObject(stream_data=b"TEST"))
    one = dictionary({name("/Type"): name("/VRI"), name("/Cert"): array([stream])})
    set_root(
        writer,
        "/DSS",
        dictionary(
            {
                name("/Type"): name("/DSS"),
                name("/Certs"): array([stream]),
                name("/VRI"): dictionary({name("/Type"): name("/VRI"), name(f"/{'A' * 40}"): one}),
            }
        ),
    )
