"""The sample documents of the demo: a contract as a PDF of several pages, and a form in XML.

Every person and organisation in them is invented and marked TEST.
"""

import pathlib

import fpdf
from lxml import etree

FONTS = pathlib.Path("/usr/share/fonts/truetype/dejavu")

FORM_NAMESPACE = "https://my.gov.az/test/application/1"

TITLE = "XİDMƏT GÖSTƏRİLMƏSİ HAQQINDA MÜQAVİLƏ № TEST-2026/17"

PARTIES = (
    "Bakı şəhəri. Bu müqavilə bir tərəfdən «TEST Gənclik» Məhdud Məsuliyyətli Cəmiyyəti (VÖEN "
    "1234567890, bundan sonra «Sifarişçi»), digər tərəfdən vətəndaş Günay TEST Əliyeva (FİN "
    "5AB12CD, bundan sonra «İcraçı») arasında bağlanmışdır."
)

ARTICLES = (
    (
        "1. Müqavilənin predmeti",
        (
            "İcraçı Sifarişçinin tapşırığı ilə elektron arxivin yaradılması üzrə xidmət göstərir, "
            "Sifarişçi isə göstərilmiş xidməti qəbul edir və haqqını ödəyir.",
            "Xidmətin həcmi və mərhələləri bu müqavilənin ayrılmaz hissəsi olan 1 nömrəli əlavədə "
            "müəyyən edilir. Şifahi dəyişikliklər etibarsızdır.",
        ),
    ),
    (
        "2. Tərəflərin hüquq və vəzifələri",
        (
            "İcraçı işi vaxtında və keyfiyyətlə yerinə yetirir, aşkar etdiyi nöqsanları öz "
            "hesabına aradan qaldırır, Sifarişçinin məlumatlarını gizli saxlayır.",
            "Sifarişçi iş üçün zəruri olan sənədləri üç iş günü ərzində təqdim edir və işin "
            "gedişinə maneə yaratmadan nəzarət etmək hüququna malikdir.",
        ),
    ),
    (
        "3. Xidmətin haqqı və hesablaşma",
        (
            "Xidmətin haqqı 4 800 (dörd min səkkiz yüz) manatdır və üç bərabər hissə ilə, hər "
            "mərhələ təhvil verildikdən sonra beş bank günü ərzində köçürülür.",
            "Ödənişin gecikdirildiyi hər gün üçün ödənilməmiş məbləğin 0,1 faizi həcmində, lakin "
            "cəmi beş faizdən çox olmayan dəbbə pulu hesablanır.",
        ),
    ),
    (
        "4. Məsuliyyət və mübahisələrin həlli",
        (
            "Tərəflər öhdəliklərini icra etmədikdə qanunvericiliyə uyğun məsuliyyət daşıyırlar. "
            "Qarşısıalınmaz qüvvə hallarında müddətlər həmin halların davamı qədər uzadılır.",
            "Mübahisələr danışıqlar yolu ilə, razılıq əldə olunmadıqda isə məhkəmədə həll edilir.",
        ),
    ),
    (
        "5. Yekun müddəalar",
        (
            "Müqavilə hər iki tərəfin elektron imzası ilə imzalandığı andan qüvvəyə minir və "
            "öhdəliklər tam icra olunanadək qüvvədə qalır.",
            "Bu mətn yalnız sınaq üçündür və heç bir hüquqi nəticə yaratmır. "
            "ეს ტექსტი მხოლოდ საცდელია. This text is a test and binds nobody.",
        ),
    ),
)


def write_contract(path: pathlib.Path) -> None:
    """Write the contract: three pages in Azerbaijani, the last one with room for signatures."""
    pdf = fpdf.FPDF(format="A4")
    pdf.set_title("TEST müqavilə")
    pdf.set_lang("az")
    pdf.add_font("DejaVu", "", FONTS / "DejaVuSans.ttf")
    pdf.add_font("DejaVu", "B", FONTS / "DejaVuSans-Bold.ttf")
    pdf.set_auto_page_break(True, margin=25)
    pdf.set_margin(25)
    pdf.add_page()
    pdf.set_font("DejaVu", "B", 13)
    pdf.multi_cell(0, 8, TITLE, align="C", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(4)
    _paragraph(pdf, PARTIES)
    for number, (heading, paragraphs) in enumerate(ARTICLES):
        if number in (2, 4):
            pdf.add_page()
        pdf.ln(3)
        pdf.set_font("DejaVu", "B", 11)
        pdf.multi_cell(0, 7, heading, new_x="LMARGIN", new_y="NEXT")
        for paragraph in paragraphs:
            _paragraph(pdf, paragraph)
    pdf.ln(6)
    _paragraph(pdf, "Tərəflərin imzaları:")
    pdf.output(str(path))


def write_form(path: pathlib.Path) -> None:
    """Write the application form in XML."""
    form = etree.fromstring(f'<application xmlns="{FORM_NAMESPACE}" Id="application"/>')

    def add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
        child = etree.SubElement(parent, f"{{{FORM_NAMESPACE}}}{name}")
        child.text = text
        return child

    add(form, "title", "Sahibkarlıq fəaliyyətinin qeydiyyatı üçün ərizə (TEST)")
    applicant = add(form, "applicant")
    add(applicant, "name", "Günay TEST Əliyeva")
    add(applicant, "personCode", "5AB12CD")
    add(form, "activity", "Elektron arxivlərin yaradılması")
    add(form, "address", "Bakı şəhəri, Nizami küçəsi, ev 1 (TEST)")
    add(form, "translation", "განაცხადი სამეწარმეო საქმიანობის რეგისტრაციისთვის (TEST)")
    etree.ElementTree(form).write(
        str(path), encoding="UTF-8", xml_declaration=True, pretty_print=True
    )


def _paragraph(pdf: fpdf.FPDF, text: str) -> None:
    pdf.set_font("DejaVu", "", 11)
    pdf.multi_cell(0, 6.5, text, align="J", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(2)
